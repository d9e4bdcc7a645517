"""`samples`, image sets -> `classification_plan`, `classifiers`, `classification_report`."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.pipelines.classification.nodes import (
    draw_confusion,
    plan_classification,
    report_classification,
    train_classifiers,
)


def create_pipeline() -> Pipeline:
    """The classification stage."""
    return Pipeline(
        [
            Node(
                plan_classification,
                inputs=[
                    "samples",
                    "synthetic_images",
                    "defect_masks",
                    "params:arms",
                    "params:synthesis",
                    "params:framing",
                    "params:classification",
                ],
                outputs="classification_plan",
                name="plan_classification",
            ),
            Node(
                train_classifiers,
                inputs=[
                    "classification_plan",
                    "samples",
                    "synthetic_images",
                    "defect_masks",
                    "downstream_checkpoints",
                    "params:arms",
                    "params:synthesis",
                    "params:framing",
                    "params:classification",
                    "params:protocol",
                ],
                outputs=["classifiers", "classification_results", "classification_history"],
                name="train_classifiers",
            ),
            Node(
                report_classification,
                inputs=["classification_results", "samples", "params:protocol"],
                outputs="classification_report",
                name="report_classification",
            ),
            Node(
                draw_confusion,
                inputs="classification_results",
                outputs="confusion_matrices",
                name="draw_confusion",
            ),
        ],
        namespace="classification",
        prefix_datasets_with_namespace=False,
    )
