"""A labelled region, whichever tool it was drawn with, and the pixels that it covers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from defectsynth_pipeline.errors import InputError

Array = np.ndarray
POLYGON, MASK, BOX, LINE = "polygon", "mask", "box", "line"
_FAR = 3  # image sides that a region may reach across; farther out, its units are not pixels
_ELLIPSE = np.linspace(0, 2 * np.pi, 180, endpoint=False)


@dataclass(frozen=True)
class Region:
    """What somebody drew on an image.

    Attributes:
        label: As the tool names it: the defect type.
        drawn: `POLYGON`, `MASK`, `BOX`, `LINE`, or what has no extent ("point", "cuboid").
        where: Which one it is, for messages: "annotation 12".
        outlines: (n, 2) x, y each, pixels; of an image of side 1 if `relative`. They are joined.
        bitmap: Gives a mask (h, w) bool.
        corner: x, y of the bitmap in the image, pixels.
        centres: Whether a whole number is the centre of a pixel (LabelMe, YOLO) and the outline is
            itself inside, or the corner of one (COCO, CVAT, Label Studio).
        relative: Whether outlines are shares of the image's sides.
    """

    label: str
    drawn: str
    where: str
    outlines: tuple[Array, ...] = ()
    bitmap: Callable[[], Array] | None = None
    corner: tuple[int, int] = (0, 0)
    centres: bool = False
    relative: bool = False


@dataclass(frozen=True)
class Labelled:
    """An image that a label file speaks of.

    Attributes:
        file: The label file, relative to the corpus root.
        name: What the file calls the image: a path, or the end of one; without a suffix if any
            image of that stem is meant.
        size: (width, height) that the labels are for; None if the file does not say.
        regions: What is drawn on it; nothing on a good image.
        tags: Labels of the image as a whole.
    """

    file: str
    name: str
    size: tuple[int, int] | None
    regions: tuple[Region, ...]
    tags: tuple[str, ...] = field(default=())


def covered(region: Region, shape: tuple[int, int], line_width: int = 1) -> tuple[Array, bool]:
    """Rasterise a region.

    Args:
        region: What has outlines or a bitmap.
        shape: (height, width) of the image.
        line_width: Px, of a line.

    Returns:
        (height, width) bool, and whether a part of the region was outside and is cut off.
    """
    mask, cut = np.zeros(shape, dtype=bool), False
    if region.bitmap is not None:
        cut = _put(mask, region.bitmap(), region.corner)
    for outline in region.outlines:
        points = outline * (shape[1], shape[0]) if region.relative else outline
        if region.relative and region.centres:
            points = np.rint(points)  # they were pixels once
        if np.abs(points).max() > _FAR * max(shape):
            cut = True
            continue
        corner = np.floor(points.min(0)).astype(int) - 1 - line_width
        size = np.ceil(points.max(0)).astype(int) + 2 + line_width - corner
        part = _filled(points - corner, (int(size[1]), int(size[0])), region, line_width)
        cut |= _put(mask, part, (int(corner[0]), int(corner[1])))
    return mask, cut


def _filled(points: Array, shape: tuple[int, int], region: Region, line_width: int) -> Array:
    if region.drawn != LINE and not region.centres:
        drawn = coco_mask.frPyObjects([points.ravel().tolist()], *shape)
        return np.asarray(coco_mask.decode(drawn)[..., 0], dtype=bool)
    canvas = Image.new("L", shape[::-1])
    vertices = [(float(x), float(y)) for x, y in points]
    if region.drawn == LINE:
        ImageDraw.Draw(canvas).line(vertices, fill=1, width=line_width, joint="curve")
    else:
        ImageDraw.Draw(canvas).polygon(vertices, fill=1, outline=1)
    return np.asarray(canvas) > 0


def _put(mask: Array, part: Array, corner: tuple[int, int]) -> bool:
    """Add a part to a mask, its first pixel at x, y; whether some of it does not fit."""
    x, y = corner
    height, width = mask.shape
    top, left = max(-y, 0), max(-x, 0)
    inside = part[top : max(height - y, 0), left : max(width - x, 0)]
    if inside.size:
        mask[y + top : y + top + len(inside), x + left : x + left + inside.shape[1]] |= inside
    return bool(part.sum() > inside.sum())


def outline_of(points: Sequence[Any] | Array, least: int = 3) -> tuple[Array, ...]:
    """Return points, x, y pairs or flat, as outlines of a region; none if there are too few.

    Raises:
        ValueError: They are no finite numbers, or not in pairs.
    """
    values = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(values).all():
        raise ValueError("a coordinate is no number")
    return (values,) if len(values) >= least else ()


def rectangle(
    corner: Sequence[Any] | Array,
    sides: Sequence[Any] | Array,
    degrees: float = 0.0,
    *,
    about: Sequence[Any] | Array | None = None,
) -> tuple[Array, ...]:
    """Return the outline of a box, turned clockwise on screen about a point, else its middle."""
    (x, y), (width, height) = (np.asarray(pair, dtype=np.float64) for pair in (corner, sides))
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    if min(width, height) <= 0:
        return ()
    return _turned(corners, (x + width / 2, y + height / 2) if about is None else about, degrees)


def ellipse(
    centre: Sequence[Any] | Array, radii: Sequence[Any] | Array, degrees: float = 0.0
) -> tuple[Array, ...]:
    """Return the outline of an ellipse, turned clockwise on screen."""
    (x, y), (rx, ry) = (np.asarray(pair, dtype=np.float64) for pair in (centre, radii))
    if min(rx, ry) <= 0:
        return ()
    points = np.stack([x + rx * np.cos(_ELLIPSE), y + ry * np.sin(_ELLIPSE)], 1)
    return _turned(points, centre, degrees)


def _turned(
    points: Sequence[Any] | Array, centre: Sequence[Any] | Array, degrees: float
) -> tuple[Array, ...]:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn, pivot = np.array([[cos, sin], [-sin, cos]]), np.asarray(centre, dtype=np.float64)
    return tuple((outline - pivot) @ turn + pivot for outline in outline_of(points))


def runs(counts: Iterable[Any], shape: tuple[int, int], *, by_row: bool) -> Array:
    """Return the mask (h, w) bool of run lengths that begin with what is not covered.

    Raises:
        ValueError: They do not add up to the mask's pixels.
    """
    lengths = np.asarray(list(counts), dtype=np.int64)
    if (lengths < 0).any() or lengths.sum() != shape[0] * shape[1]:
        raise ValueError(f"runs of {lengths.sum()} pixels for {shape[1]}x{shape[0]}")
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape(shape) if by_row else flat.reshape(shape[::-1]).T


def unreadable(file: object, value: object, remedy: str = "") -> InputError:
    """The error for a label file that is not what its format says."""
    return InputError(
        "the label file cannot be read",
        file=str(file),
        value=value,
        remedy=remedy or "export the labels again",
    )
