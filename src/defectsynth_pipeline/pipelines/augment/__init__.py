"""From the user's folder to labelled defect images."""

from defectsynth_pipeline.pipelines.augment.pipeline import create_pipeline

__all__ = ["create_pipeline"]
