"""The latest augment run in every layout of an export, read back and compared mask by mask.

Prints one JSON: per layout and reader `images`, and `worst`, the least IoU of a mask that was read
with the one that was published (1 is wanted, 0 where an image or its label is missing); `error` in
place of it where the reader's library is not installed (the extra `export-check`).

    python benchmarks/exports.py [--project .] [--env NAME]
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from augment import REPOSITORY, asked_run

sys.path.append(str(REPOSITORY / "tests"))
from defectsynth_pipeline.export import Selection, select_images, write_export
from defectsynth_pipeline.options import ExportOptions
from export import readers

READERS: dict[str, dict[str, Callable[[Path], readers.Found]]] = {
    "coco": {"pycocotools": readers.by_pycocotools},
    "yolo": {"supervision": readers.by_supervision_yolo},
    "voc": {"palette": readers.by_palette},
    "mvtec": {"anomalib's rules": readers.by_anomalib_rules},
    "hf": {"datasets": lambda folder: readers.by_datasets(folder, folder.with_name("cache"))},
    "labelstudio": {"label_studio_converter": readers.by_label_studio},
    "cvat": {"CVAT's rules": readers.by_cvat_rules, "datumaro": readers.by_datumaro},
}


def worst(found: readers.Found, selection: Selection) -> float:
    """The least IoU over all images; of a good one 1 where no label was read."""
    least = 1.0 if set(found) == {image.name for image in selection} else 0.0
    for image in selection:
        labels = found.get(image.name, {})
        # One label, which in MVTec's tree is the type alone: its category is a folder.
        if len(labels) != bool(image.label) or not set(labels) <= {image.label, image.defect_type}:
            return 0.0
        if image.label:
            mask, read = image.mask(), np.any([*labels.values()], axis=0)
            least = min(least, (mask & read).sum() / (mask | read).sum())
    return float(least)


def main() -> None:
    """Write, read and print."""
    run = asked_run(__doc__)
    told: dict[str, dict[str, Any]] = {}
    for layout, by_name in READERS.items():
        options = ExportOptions(format=layout, real=True, normals=True)
        selection = select_images(run["synthetic_images"], run["samples"], options)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "set"
            write_export(selection, folder, options)
            for library, read in by_name.items():
                try:
                    with redirect_stdout(sys.stderr):  # pycocotools prints
                        result = {"worst": worst(read(folder), selection)}
                except ImportError as error:
                    result = {"error": str(error)}
                told[f"{layout}, {library}"] = {"images": len(selection), **result}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
