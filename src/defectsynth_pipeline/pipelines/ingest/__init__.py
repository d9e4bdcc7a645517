"""Raw folders become `samples`: one row per real image, split once and for all."""

from defectsynth_pipeline.pipelines.ingest.pipeline import create_pipeline

__all__ = ["create_pipeline"]
