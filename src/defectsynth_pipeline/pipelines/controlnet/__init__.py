"""Stage 2, training: the ControlNet learns the few real defects."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures.lines import draw_finetuning
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.pipelines.controlnet.nodes import cut_crops, finetune_controlnet


def create_pipeline() -> Pipeline:
    """`samples`, `base_model` -> `controlnet`, `finetune_history`, `finetune_curves`."""
    cut = Node(
        cut_crops,
        ["samples", "base_model", "params:finetune", "params:framing", "params:prompts"],
        ["training_crops", "training_key"],
        name="cut_crops",
    )
    trained = Node(
        finetune_controlnet,
        inputs=[
            "training_crops",
            "training_key",
            "base_model",
            "finetune_checkpoints",
            "params:finetune",
            "params:execution",
        ],
        outputs=["controlnet", "finetune_history"],
        name="finetune_controlnet",
        tags="training",
    )
    drawn = [Node(draw_finetuning, "finetune_history", "finetune_curves", name="draw_finetuning")]
    return boxed("finetuning", [cut, trained], tags="appearance") + pictures(drawn)
