"""All runs so far, averaged over partitions, in the layouts of the paper's tables."""

from defectsynth_pipeline.pipelines.tables.pipeline import create_pipeline

__all__ = ["create_pipeline"]
