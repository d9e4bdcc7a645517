"""Pictures, by one style; named here are those of what detectors did."""

from defectsynth_pipeline.figures.forest import draw_verdict
from defectsynth_pipeline.figures.lines import draw_ratio, draw_training
from defectsynth_pipeline.figures.overlays import draw_overlays
from defectsynth_pipeline.figures.performance import draw_confusion, draw_curves

__all__ = [
    "draw_confusion",
    "draw_curves",
    "draw_overlays",
    "draw_ratio",
    "draw_training",
    "draw_verdict",
]
