"""Ingest."""

from __future__ import annotations

import pandas as pd

from defectsynth_pipeline.corpora.layout import Corpus
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.options import IngestOptions


def read_samples(corpora: list[Corpus], options: IngestOptions) -> pd.DataFrame:
    """Read, check and split all real images."""
    return make_samples([corpus.root for corpus in corpora], options)
