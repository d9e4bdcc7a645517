"""Stage 2, training: the ControlNet learns the few real defects."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures.lines import draw_finetuning
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.pipelines.controlnet.nodes import finetune_controlnet


def create_pipeline() -> Pipeline:
    """`samples`, `base_model` -> `controlnet`, `finetune_history`, `finetune_curves`."""
    stage = [
        Node(
            finetune_controlnet,
            inputs=[
                "samples",
                "base_model",
                "finetune_checkpoints",
                "params:finetune",
                "params:framing",
                "params:prompts",
            ],
            outputs=["controlnet", "finetune_history"],
            name="finetune_controlnet",
        )
    ]
    drawn = [Node(draw_finetuning, "finetune_history", "finetune_curves", name="draw_finetuning")]
    return boxed("finetuning", stage, tags=["appearance", "training"]) + pictures(drawn)
