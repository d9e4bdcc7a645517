"""From the user's folder to labelled defect images and a report on them."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from defectsynth_pipeline.pipelines import controlnet, ingest, masks, report, synthesis


def create_pipeline(partition: int | None = None) -> Pipeline:
    """Both stages of the method and the report, of one partition or of the one asked for."""
    stages = (masks, controlnet, synthesis, report)
    return sum((stage.create_pipeline() for stage in stages), ingest.create_pipeline(partition))
