"""Sets of generated images on disk: rendered one by one, resumed per image, published whole."""

from defectsynth_pipeline.imagesets.publishing import publish
from defectsynth_pipeline.imagesets.sets import MANIFEST, ImageSet, ImageSetJob, Rendered

__all__ = ["MANIFEST", "ImageSet", "ImageSetJob", "Rendered", "publish"]
