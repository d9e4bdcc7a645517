"""The node of the export."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ExportOptions


def export_images(images: ImageSet, samples: pd.DataFrame, options: ExportOptions) -> str:
    """Write the folder that the options name, whole; return its card."""
    from defectsynth_pipeline.export import select_images, write_export

    return write_export(select_images(images, samples, options), Path(str(options.out)), options)
