"""How good the images are, as the field measures it; other arms' beside them."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures.quality import draw_quality
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.pipelines.quality.nodes import measure_images
from defectsynth_pipeline.pipelines.task import bank_pipeline


def create_pipeline() -> Pipeline:
    """`samples`, image sets -> `generation_quality`, `generation_quality_figure`."""
    table = "generation_quality"
    measured = Node(measure_images, ["bank", "params:quality"], table, name="measure_images")
    drawn = Node(draw_quality, table, "generation_quality_figure", name="draw_quality")
    return bank_pipeline() + boxed("quality", [measured], tags="judgement") + pictures([drawn])
