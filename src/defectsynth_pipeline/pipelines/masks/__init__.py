"""Stage 1: area ratios and generated defect masks."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures.strips import draw_real_and_generated_masks
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.pipelines.masks.nodes import (
    generate_masks,
    measure_area_ratios,
)


def create_pipeline() -> Pipeline:
    """`samples` -> `area_ratios`, `defect_masks`, `mask_preview`."""
    stage = [
        Node(
            measure_area_ratios,
            inputs=["samples", "params:masks"],
            outputs="area_ratios",
            name="measure_area_ratios",
        ),
        Node(
            generate_masks,
            inputs=["samples", "area_ratios", "base_model", "mask_work", "review", "params:masks"],
            outputs="defect_masks",
            name="generate_masks",
        ),
    ]
    drawn = [
        Node(
            draw_real_and_generated_masks,
            inputs=["samples", "defect_masks"],
            outputs="mask_preview",
            name="preview_masks",
        )
    ]
    return boxed("masks", stage, tags="shape") + pictures(drawn)
