"""Raw folders become `samples`: one row per real image, split once and for all."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.corpora.layout import Corpus
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.options import IngestOptions
from defectsynth_pipeline.pipelines.boxes import boxed


def read_samples(corpora: list[Corpus], options: IngestOptions) -> pd.DataFrame:
    """Read, check and split all real images."""
    return make_samples([corpus.root for corpus in corpora], options)


def partition_reader(partition: int) -> Callable[..., pd.DataFrame]:
    """The node that reads one partition, whatever `ingest.partition` says."""

    def read_partition(
        corpora: list[Corpus], options: IngestOptions, *before: pd.DataFrame
    ) -> pd.DataFrame:
        """Read, check and split all real images, after what comes before is judged."""
        return read_samples(corpora, options.model_copy(update={"partition": partition}))

    return read_partition


def create_pipeline(partition: int | None = None) -> Pipeline:
    """`corpora` -> `samples`; of one partition, after the verdict on the partition `before` it."""
    read = read_samples if partition is None else partition_reader(partition)
    inputs = ["corpora", "params:ingest", *(["before"] if partition else [])]
    return boxed("ingest", [Node(read, inputs, "samples", name="read_samples")])
