"""U-Net finds defects, trained with every arm."""

from defectsynth_pipeline.pipelines.localization.pipeline import create_pipeline

__all__ = ["create_pipeline"]
