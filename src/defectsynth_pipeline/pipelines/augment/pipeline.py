"""The whole way: ingest, masks, ControlNet, synthesis."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from defectsynth_pipeline.pipelines import controlnet, ingest, masks, synthesis


def create_pipeline() -> Pipeline:
    """Both stages of the method in order."""
    stages = (ingest, masks, controlnet, synthesis)
    return sum((stage.create_pipeline() for stage in stages), Pipeline([]))
