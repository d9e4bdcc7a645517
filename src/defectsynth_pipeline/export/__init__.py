"""Images in the layouts of other tools: what is exported, how its masks are told, one module each.

selection = select_images(image_set, samples, options)
write_export(selection, folder, options)
"""

from defectsynth_pipeline.export.selection import Exported, Selection, select_images
from defectsynth_pipeline.export.writing import FORMATS, check_folder, write_export

__all__ = [
    "FORMATS",
    "Exported",
    "Selection",
    "check_folder",
    "select_images",
    "write_export",
]
