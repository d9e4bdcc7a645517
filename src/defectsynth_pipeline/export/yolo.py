"""YOLO segmentation: `images/train`, `labels/train` with a polygon a line, and `data.yaml`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from defectsynth_pipeline.export.coco import FAITHFUL
from defectsynth_pipeline.export.outlines import (
    INNER,
    filled_by_centres,
    filled_to_pixels,
    overlap,
    polygons,
)
from defectsynth_pipeline.export.selection import Selection, instances
from defectsynth_pipeline.options import ExportOptions

_HEADER = """\
# Synthetic defect images made by defectsynth_pipeline; see README.md.
# val is the training set: put photographs of your own there before you believe a score.
"""


def write_yolo(selection: Selection, folder: Path, options: ExportOptions) -> list[str]:
    """Write images, labels and `data.yaml`, and measure what polygons lose; see `Writer`."""
    images, labels = (folder / kind / "train" for kind in ("images", "labels"))
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    rounded, by_centre = [], []
    for image in selection:
        (images / f"{image.name}.png").write_bytes(image.png())
        mask = image.mask()
        height, width = mask.shape
        lines = []
        for part in instances(mask, options.instances):
            found = polygons(part, INNER)
            rounded.append(overlap(filled_to_pixels(found, mask.shape), part))
            by_centre.append(overlap(filled_by_centres(found, mask.shape), part))
            number = selection.labels.index(image.label)
            for polygon in found:
                points = (polygon / (width, height)).ravel()
                lines.append(" ".join([str(number), *(f"{value:.6f}" for value in points)]))
        text = "".join(f"{line}\n" for line in lines)
        (labels / f"{image.name}.txt").write_text(text, encoding="utf-8")
    # No `path`: Ultralytics takes a relative one from where it is started, and without one looks
    # beside this file.
    told = {"train": "images/train", "val": "images/train"}
    names = {"names": dict(enumerate(selection.labels))}
    text = _HEADER + yaml.safe_dump(told | names, sort_keys=False, allow_unicode=True)
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return [_loss(rounded, by_centre), "A good image has an empty label file."]


def _loss(rounded: list[float], by_centre: list[float]) -> str:
    if not rounded:
        return "No polygons."
    thin = float(np.mean(np.array(by_centre) < FAITHFUL))
    return (
        f"{len(rounded)} polygons, YOLO's only way to tell a mask. Filled as YOLO tools do "
        f"(corners to whole pixels, the line included) they give the mask back with IoU "
        f"{min(rounded):.4f} at worst, {np.mean(rounded):.4f} on average. A tool that fills by "
        f"pixels' centres loses half a pixel all around: {min(by_centre):.2f} at worst, "
        f"{np.mean(by_centre):.2f} on average, below {FAITHFUL:g} for {thin:.0%} of the parts, "
        "thin ones most. Where that matters, take COCO with run lengths."
    )
