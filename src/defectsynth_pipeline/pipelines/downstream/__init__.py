"""Both detectors, then the verdict: does the data pay?"""

from defectsynth_pipeline.pipelines.downstream.pipeline import create_pipeline

__all__ = ["create_pipeline"]
