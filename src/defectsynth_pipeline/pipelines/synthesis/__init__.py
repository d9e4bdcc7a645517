"""Stage 2, inference: plan, render, look."""

from defectsynth_pipeline.pipelines.synthesis.pipeline import create_pipeline

__all__ = ["create_pipeline"]
