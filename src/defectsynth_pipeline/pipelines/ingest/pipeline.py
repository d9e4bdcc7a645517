"""`corpora` -> `samples`."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.pipelines.ingest.nodes import read_samples


def create_pipeline() -> Pipeline:
    """The ingest stage."""
    return Pipeline(
        [
            Node(
                read_samples,
                inputs=["corpora", "params:ingest"],
                outputs="samples",
                name="read_samples",
            )
        ],
        namespace="ingest",
        prefix_datasets_with_namespace=False,
    )
