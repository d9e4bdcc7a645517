"""COCO: `images/` and `annotations.json`, read by pycocotools and whatever is built on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from defectsynth_pipeline.export.outlines import (
    EDGES,
    box,
    filled_by_centres,
    filled_to_pixels,
    overlap,
    polygons,
)
from defectsynth_pipeline.export.selection import SYNTHETIC, Selection, instances
from defectsynth_pipeline.options import ExportOptions

FAITHFUL = 0.98  # least IoU at which a polygon stands for a mask


def write_coco(selection: Selection, folder: Path, options: ExportOptions) -> list[str]:
    """Write the images and one JSON; see `writing.Writer`."""
    (folder / "images").mkdir()
    names = list(selection.licences())
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(selection, start=1):
        file = f"{image.name}.png"
        (folder / "images" / file).write_bytes(image.png())
        mask = image.mask()
        images.append(
            {
                "id": number,
                "file_name": file,
                "height": mask.shape[0],
                "width": mask.shape[1],
                "license": names.index(image.licence.split("; ")[0]) + 1,
                "licence": image.licence,
                "synthetic": image.origin == SYNTHETIC,
            }
        )
        for part in instances(mask, options.instances):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": selection.labels.index(image.label) + 1,
                    "segmentation": _segmentation(part, options.masks),
                    "area": int(part.sum()),
                    "bbox": list(box(part)),
                    "iscrowd": 0,
                }
            )
    whole = {
        "info": {
            "description": "synthetic defect images made by defectsynth_pipeline; see README.md",
            "version": selection.version,
            "set": selection.of_set,
        },
        "licenses": [{"id": n, "name": name, "url": ""} for n, name in enumerate(names, start=1)],
        "categories": [
            {"id": number, "name": name, "supercategory": "defect"}
            for number, name in enumerate(selection.labels, start=1)
        ],
        "images": images,
        "annotations": annotations,
    }
    (folder / "annotations.json").write_text(json.dumps(whole, ensure_ascii=False), "utf-8")
    told = sum(isinstance(one["segmentation"], dict) for one in annotations)
    return [
        f"{len(annotations)} annotations: {told} as run lengths (RLE), which lose nothing, "
        f"{len(annotations) - told} as polygons along the pixels' edges.",
        "`iscrowd` is 0 for all: run lengths do not mean a crowd here.",
    ]


def _segmentation(part: np.ndarray, how: str) -> dict[str, Any] | list[list[float]]:
    """A part as compressed run lengths, or as polygons."""
    if how != "rle":
        found = polygons(part, EDGES)
        readers = (filled_by_centres, filled_to_pixels)
        faithful = (overlap(fill(found, part.shape), part) >= FAITHFUL for fill in readers)
        if how == "polygon" or all(faithful):
            return [polygon.ravel().tolist() for polygon in found]
    told = coco_mask.encode(np.asfortranarray(part.astype(np.uint8)))
    return {"size": list(told["size"]), "counts": told["counts"].decode("ascii")}
