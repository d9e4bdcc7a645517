"""`samples`, image sets -> `localization_plan`, `localizers`, `localization_report`."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.pipelines.localization.nodes import (
    draw_detection_curves,
    draw_overlays,
    plan_localization,
    report_localization,
    train_localizers,
)


def create_pipeline() -> Pipeline:
    """The localization stage."""
    return Pipeline(
        [
            Node(
                plan_localization,
                inputs=[
                    "samples",
                    "synthetic_images",
                    "defect_masks",
                    "params:arms",
                    "params:synthesis",
                    "params:framing",
                    "params:localization",
                ],
                outputs="localization_plan",
                name="plan_localization",
            ),
            Node(
                train_localizers,
                inputs=[
                    "localization_plan",
                    "samples",
                    "synthetic_images",
                    "defect_masks",
                    "downstream_checkpoints",
                    "params:arms",
                    "params:synthesis",
                    "params:framing",
                    "params:localization",
                    "params:protocol",
                ],
                outputs=["localizers", "localization_results", "localization_history"],
                name="train_localizers",
            ),
            Node(
                report_localization,
                inputs=["localization_results", "samples", "params:protocol"],
                outputs="localization_report",
                name="report_localization",
            ),
            Node(
                draw_detection_curves,
                inputs="localization_results",
                outputs="detection_curves",
                name="draw_detection_curves",
            ),
            Node(
                draw_overlays,
                inputs=["localization_results", "samples"],
                outputs="prediction_overlays",
                name="draw_overlays",
            ),
        ],
        namespace="localization",
        prefix_datasets_with_namespace=False,
    )
