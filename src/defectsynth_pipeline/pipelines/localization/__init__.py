"""A U-Net marks defective pixels, trained with every arm."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from defectsynth_pipeline.pipelines import task


def create_pipeline() -> Pipeline:
    """The localization stage."""
    return task.create_pipeline("localization")
