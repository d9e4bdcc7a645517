"""COCO instances: polygons, run lengths (compressed or not), boxes, crowds.

Polygons are drawn as pycocotools does, around pixels. Many are traced through the middles of a
mask's outermost pixels instead (OpenCV, supervision) and would lose half a pixel all around, a thin
crack all of itself; where an annotation's `area` says so, they are drawn that way.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from defectsynth_pipeline.corpora.labels.regions import (
    BOX,
    MASK,
    POLYGON,
    Labelled,
    Region,
    covered,
    outline_of,
    rectangle,
    runs,
    unreadable,
)

_SAME = 0.01  # by which an area may differ


def is_coco(content: Any) -> bool:
    """Whether the content of a JSON file is of this format."""
    return isinstance(content, dict) and all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    )


def read_coco(content: Any, file: str, root: Path) -> list[Labelled]:
    """Return the images of a COCO file; one without annotations has no regions.

    A crowd is a region like any other: the instances of a type are joined anyway.

    Raises:
        InputError: An image or category is unknown, unnamed or there twice, a region is malformed.
    """
    path = root / file
    names = {c.get("id"): str(c.get("name") or "") for c in content.get("categories") or []}
    images: dict[Any, dict[str, Any]] = {}
    for image in content["images"]:
        if not image.get("file_name"):
            raise unreadable(path, f"image {image.get('id')} has no file_name")
        if image.get("id") in images:
            raise unreadable(path, f"image id {image.get('id')} is there twice")
        images[image.get("id")] = image
    regions: dict[Any, list[Region]] = {number: [] for number in images}
    for annotation in content["annotations"]:
        where, category = f"annotation {annotation.get('id')}", annotation.get("category_id")
        if annotation.get("image_id") not in images:
            raise unreadable(path, f"{where} is of image {annotation.get('image_id')}: not listed")
        if not names.get(category):
            remedy = "give every category of the label file a name"
            raise unreadable(path, f"{where}: category {category} has no name", remedy)
        try:
            size = _size(images[annotation["image_id"]])
            region = _region(annotation, names[category], where, size)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise unreadable(path, f"{where}: {error}") from error
        regions[annotation["image_id"]].append(region)
    return [
        Labelled(file, str(image["file_name"]), _size(image), tuple(regions[number]))
        for number, image in images.items()
    ]


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    if image.get("width") and image.get("height"):
        return int(image["width"]), int(image["height"])
    return None


def _region(
    annotation: dict[str, Any], label: str, where: str, size: tuple[int, int] | None
) -> Region:
    drawn = annotation.get("segmentation")
    if isinstance(drawn, dict):
        height, width = map(int, drawn["size"])
        given = drawn["counts"]
        if isinstance(given, list):
            bitmap = partial(runs, given, (height, width), by_row=False)
        else:
            given = given.encode() if isinstance(given, str) else given
            bitmap = partial(_decoded, given, (height, width))
        return Region(label, MASK, where, bitmap=bitmap)
    if not drawn and annotation.get("bbox"):
        return Region(label, BOX, where, rectangle(annotation["bbox"][:2], annotation["bbox"][2:]))
    outlines = tuple(outline for ring in drawn or [] for outline in outline_of(ring))
    region, area = Region(label, POLYGON, where, outlines), annotation.get("area")
    if area and outlines and size and _traces_centres(region, float(area), size):
        return replace(region, centres=True)
    return region


def _traces_centres(region: Region, area: float, size: tuple[int, int]) -> bool:
    """Whether an outline has its area, in pixels, only where it is taken to lie inside itself."""
    around, through = (
        abs(float(covered(one, size[::-1])[0].sum()) - area)
        for one in (region, replace(region, centres=True))
    )
    return through < around and through <= max(_SAME * area, 2.0)


def _decoded(counts: bytes, shape: tuple[int, int]) -> np.ndarray:
    mask = coco_mask.decode({"size": list(shape), "counts": counts})
    return np.asarray(mask, dtype=bool)
