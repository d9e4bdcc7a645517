"""The paper's protocol whole: three partitions, each augmented and judged, then its tables."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from defectsynth_pipeline.pipelines import augment, downstream, tables
from defectsynth_pipeline.verdict.paper_tables import PARTITIONS


def create_pipeline() -> Pipeline:
    """`corpora` -> `partition_0.samples` ... `partition_2.verdict`, `table_viii` to `table_x`.

    A partition begins when the one before is judged: one generator is in memory at a time, and
    an interrupted run leaves whole partitions.
    """
    return sum((_partition(number) for number in range(PARTITIONS)), tables.create_pipeline())


def _partition(number: int) -> Pipeline:
    whole = augment.create_pipeline(partition=number) + downstream.create_pipeline()
    shared = {"corpora": "corpora", "base_model": "base_model"}
    if number:
        shared["before"] = f"partition_{number - 1}.verdict"
    parameters = {name for name in whole.inputs() if name.startswith("params:")}
    return Pipeline(whole, namespace=f"partition_{number}", inputs=shared, parameters=parameters)
