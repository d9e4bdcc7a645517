"""ResNet-34 tells defect types apart, trained with every arm."""

from defectsynth_pipeline.pipelines.classification.pipeline import create_pipeline

__all__ = ["create_pipeline"]
