"""Nothing but options -> `compact_model`, `pretrain_preview`."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.pipelines.pretrain.nodes import pretrain


def create_pipeline() -> Pipeline:
    """The pretraining stage; `augment` uses what it once made."""
    return Pipeline(
        [
            Node(
                pretrain,
                inputs=["pretrain_checkpoints", "params:pretrain"],
                outputs=["compact_model", "pretrain_preview"],
                name="pretrain",
            )
        ],
        namespace="pretrain",
        prefix_datasets_with_namespace=False,
    )
