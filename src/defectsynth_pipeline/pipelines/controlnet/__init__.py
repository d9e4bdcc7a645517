"""Stage 2, training: the ControlNet learns the few real defects."""

from defectsynth_pipeline.pipelines.controlnet.pipeline import create_pipeline

__all__ = ["create_pipeline"]
