"""How the shipped compact base model is made."""

from defectsynth_pipeline.pipelines.pretrain.pipeline import create_pipeline

__all__ = ["create_pipeline"]
