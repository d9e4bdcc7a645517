"""From the user's folder to labelled defect images: ingest, masks, ControlNet, synthesis."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from defectsynth_pipeline.pipelines import controlnet, ingest, masks, synthesis


def create_pipeline(partition: int | None = None) -> Pipeline:
    """Both stages of the method in order, of one partition or of the one that is asked for."""
    stages = (masks, controlnet, synthesis)
    return sum((stage.create_pipeline() for stage in stages), ingest.create_pipeline(partition))
