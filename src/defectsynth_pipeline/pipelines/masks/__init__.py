"""Stage 1: area ratios and generated defect masks."""

from defectsynth_pipeline.pipelines.masks.pipeline import create_pipeline

__all__ = ["create_pipeline"]
