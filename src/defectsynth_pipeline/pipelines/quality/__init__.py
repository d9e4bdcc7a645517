"""How good the images are, as the field measures it; other arms' beside them."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures.quality import draw_quality
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.pipelines.quality.nodes import (
    check_report,
    measure_images,
    report_quality,
)
from defectsynth_pipeline.pipelines.task import bank_pipeline


def create_pipeline() -> Pipeline:
    """`samples`, image sets -> `generation_quality`, `generation_quality_figure`.

    `quality_report` is the `report` of the images with the measures in it.
    """
    table = "generation_quality"
    measured = Node(measure_images, ["bank", "params:quality"], table, name="measure_images")
    drawn = Node(draw_quality, table, "generation_quality_figure", name="draw_quality")
    # By its name it comes before what is measured, which takes long.
    begun = Node(
        check_report,
        ["report", "earlier_verdict_report", "bank"],
        "measured_report",
        name="check_report",
    )
    page = Node(report_quality, ["measured_report", table], "quality_report", name="report_quality")
    stage = boxed("quality", [measured], tags="judgement") + pictures([drawn])
    return bank_pipeline() + stage + Pipeline([begun, page], tags="pictures")
