"""LabelMe: one JSON file per image, beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image

from defectsynth_pipeline.corpora.labels.regions import (
    BOX,
    LINE,
    MASK,
    POLYGON,
    Labelled,
    Region,
    ellipse,
    outline_of,
    unreadable,
)

_OUTLINED = ("polygon", "oriented_rectangle", "rotation")
_BOXED = ("rectangle",)
_LINES = ("line", "linestrip")


def is_labelme(content: Any) -> bool:
    """Whether the content of a JSON file is of this format."""
    return isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys()


def read_labelme(content: Any, file: str, root: Path) -> list[Labelled]:
    """Return the image of a LabelMe file; one without shapes has no regions.

    Raises:
        InputError: A shape is malformed.
    """
    regions = []
    for number, shape in enumerate(content["shapes"] or []):
        try:
            regions.append(_region(shape, f"shape {number}"))
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise unreadable(root / file, f"shape {number}: {error}") from error
    # The path is as it was on the machine of whoever labelled; the file lies beside its image.
    name = PureWindowsPath(str(content["imagePath"] or "")).name or Path(file).stem
    name = (Path(file).parent / name).as_posix()
    width, height = content.get("imageWidth"), content.get("imageHeight")
    size = (int(width), int(height)) if width and height else None
    tags = tuple(key for key, value in (content.get("flags") or {}).items() if value)
    return [Labelled(file, name, size, tuple(regions), tags)]


def _region(shape: dict[str, Any], where: str) -> Region:
    kind, label = shape.get("shape_type") or "polygon", str(shape.get("label") or "")
    points = np.asarray(shape["points"], dtype=np.float64).reshape(-1, 2)
    if kind == "mask":
        x, y = np.rint(points[0]).astype(int)
        given = partial(_decoded, shape["mask"])
        return Region(label, MASK, where, bitmap=given, corner=(int(x), int(y)))
    if kind == "circle":
        radius = float(np.linalg.norm(points[1] - points[0]))
        outlines = ellipse(points[0], (radius, radius))
        return Region(label, POLYGON, where, outlines, centres=True)
    if kind in _OUTLINED:
        return Region(label, POLYGON, where, outline_of(points), centres=True)
    if kind in _BOXED:
        return Region(label, BOX, where, outline_of(_corners(points)), centres=True)
    if kind in _LINES:
        return Region(label, LINE, where, outline_of(points, 2), centres=True)
    return Region(label, kind, where)


def _corners(points: np.ndarray) -> Sequence[Any]:
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _decoded(picture: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))) > 0
