"""Both detectors, then the verdict: does the data pay?"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures import draw_ratio, draw_verdict
from defectsynth_pipeline.pipelines import task
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.pipelines.downstream.nodes import (
    continue_report,
    draw_training,
    judge,
    measure_ratio,
    report_verdict,
)


def create_pipeline() -> Pipeline:
    """`synthetic_images` -> `classification_report`, `localization_report`, `verdict`.

    `verdict_report` is the `report` of the images with the verdict in it, and with their quality
    where that was measured.
    """
    reports = ["classification_report", "localization_report"]
    histories = ["classification_history", "localization_history"]
    stage = [
        Node(
            judge,
            inputs=[*reports, "samples", "review", "params:protocol"],
            outputs=["verdict", "verdict_page", "review_summary"],
            name="judge",
        ),
        Node(measure_ratio, inputs=reports, outputs="ratio_curve", name="measure_ratio"),
    ]
    told = ["verdict", "verdict_page", "localization_results", "samples", "ratio_curve"]
    drawn = [
        Node(draw_verdict, "verdict", "verdict_figure", name="draw_verdict"),
        Node(draw_ratio, "ratio_curve", "ratio_figure", name="draw_ratio"),
        Node(draw_training, histories, "training_curves", name="draw_training"),
    ]
    begun = ["report", "earlier_quality_report"]
    page = [
        Node(continue_report, begun, "report_so_far", name="continue_report"),
        Node(report_verdict, ["report_so_far", *told], "verdict_report", name="report_verdict"),
    ]
    tasks = [task.create_pipeline(name) for name in ("classification", "localization")]
    return sum(tasks, boxed("judging", stage, tags="judgement") + pictures(drawn)) + Pipeline(
        page, tags="pictures"
    )
