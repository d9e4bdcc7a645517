"""ResNet-34 tells defect types apart, trained with every arm."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from defectsynth_pipeline.pipelines import task


def create_pipeline() -> Pipeline:
    """The classification stage."""
    return task.create_pipeline("classification")
