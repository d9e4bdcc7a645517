"""Both detectors, then the verdict: does the data pay?"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures import draw_ratio, draw_verdict
from defectsynth_pipeline.pipelines import task
from defectsynth_pipeline.pipelines.downstream.nodes import (
    draw_training,
    judge,
    measure_ratio,
    report_verdict,
)


def create_pipeline() -> Pipeline:
    """`synthetic_images` -> `classification_report`, `localization_report`, `verdict`.

    `verdict_report` is the `report` of the images with the verdict in it.
    """
    reports = ["classification_report", "localization_report"]
    verdict = Pipeline(
        [
            Node(
                judge,
                inputs=[*reports, "samples", "params:protocol"],
                outputs=["verdict", "verdict_page"],
                name="judge",
            ),
            Node(draw_verdict, inputs="verdict", outputs="verdict_figure", name="draw_verdict"),
            Node(measure_ratio, inputs=reports, outputs="ratio_curve", name="measure_ratio"),
            Node(draw_ratio, inputs="ratio_curve", outputs="ratio_figure", name="draw_ratio"),
            Node(
                draw_training,
                inputs=["classification_history", "localization_history"],
                outputs="training_curves",
                name="draw_training",
            ),
            Node(
                report_verdict,
                inputs=[
                    "report",
                    "verdict",
                    "verdict_page",
                    "localization_results",
                    "samples",
                    "ratio_curve",
                ],
                outputs="verdict_report",
                name="report_verdict",
            ),
        ],
        namespace="downstream",
        prefix_datasets_with_namespace=False,
    )
    tasks = [task.create_pipeline(name) for name in ("classification", "localization")]
    return sum(tasks, verdict)
