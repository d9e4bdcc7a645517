"""COCO: `images/` and `annotations.json`, read by pycocotools and whatever is built on it."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
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
    labels = {label: number for number, label in enumerate(selection.labels, start=1)}
    whole = {
        "info": {
            "description": "synthetic defect images made by defectsynth_pipeline; see README.md",
            "version": selection.version,
            "set": selection.of_set,
        },
        "licenses": [{"id": n, "name": name, "url": ""} for n, name in enumerate(names, start=1)],
        "categories": [
            {"id": number, "name": label, "supercategory": "defect"}
            for label, number in labels.items()
        ],
    }
    count = told = 0
    # Written as they come: of very many images not even the annotations fit into memory.
    with (
        (folder / "annotations.json").open("w", encoding="utf-8") as file,
        TemporaryFile("w+", encoding="utf-8") as annotations,
    ):
        file.write(f'{_text(whole)[:-1]}, "images": [')
        for number, image in enumerate(selection, start=1):
            name = f"{image.name}.png"
            (folder / "images" / name).write_bytes(image.png())
            mask = image.mask()
            of_image = {
                "id": number,
                "file_name": name,
                "height": mask.shape[0],
                "width": mask.shape[1],
                "license": names.index(image.licence.split("; ")[0]) + 1,
                "licence": image.licence,
                "synthetic": image.origin == SYNTHETIC,
            }
            file.write(", " * (number > 1) + _text(of_image))
            for part in instances(mask, options.instances):
                count += 1
                of_part = {
                    "id": count,
                    "image_id": number,
                    "category_id": labels[image.label],
                    "segmentation": _segmentation(part, options.masks),
                    "area": int(part.sum()),
                    "bbox": list(box(part)),
                    "iscrowd": 0,
                }
                told += isinstance(of_part["segmentation"], dict)
                annotations.write(", " * (count > 1) + _text(of_part))
        file.write('], "annotations": [')
        annotations.seek(0)
        copyfileobj(annotations, file)
        file.write("]}")
    return [
        f"{count} annotations: {told} as run lengths (RLE), which lose nothing, "
        f"{count - told} as polygons along the pixels' edges.",
        "`iscrowd` is 0 for all: run lengths do not mean a crowd here.",
    ]


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


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
