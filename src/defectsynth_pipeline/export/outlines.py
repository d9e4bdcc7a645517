"""Polygons around masks, and what they give back: the loss of formats that have nothing else.

Readers fill polygons in two ways. pycocotools takes the pixels whose centres lie inside. OpenCV,
and what is built on it, rounds every corner to a pixel and takes the pixels on the line too. No
polygon is exact for both, so each format has corners for its own readers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from scipy import ndimage
from skimage.measure import find_contours

_EIGHT = np.ones((3, 3), dtype=bool)


class Corners(NamedTuple):
    """Where between a pixel's two edges the polygon passes, 0 its left or upper, 1 the other.

    Attributes:
        near: At a left or upper edge of the mask.
        far: At a right or lower one.
    """

    near: float
    far: float


EDGES = Corners(0.0, 1.0)  # on the pixels' edges: the area is the mask's, pycocotools is exact
# Before the pixels' centres: OpenCV's corners are the mask's own pixels, cut off or rounded.
INNER = Corners(0.05, 0.45)


def components(mask: np.ndarray) -> list[np.ndarray]:
    """Return the parts of a mask that touch nowhere, not even at corners, each bool (H, W)."""
    labels, count = ndimage.label(mask, structure=_EIGHT)
    return [labels == number for number in range(1, count + 1)]


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) of a mask that is not empty, pixels."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def polygons(mask: np.ndarray, corners: Corners) -> list[np.ndarray]:
    """Return a polygon per part of a mask; a hole is reached through a cut of no width.

    Args:
        mask: bool (H, W).
        corners: For whom.

    Returns:
        Each (N, 2) float: x, y in pixels; the upper left pixel reaches from 0 to 1.
    """
    labels, count = ndimage.label(mask, structure=_EIGHT)
    rings: list[list[np.ndarray]] = [[] for _ in range(count)]
    for edges in _rings(mask):
        row, column = edges[0, :2]
        rings[labels[row, column] - 1].append(edges)
    return [_corners(_joined(of_part), corners) for of_part in rings]


def filled_by_centres(found: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return the mask that pycocotools makes of polygons, bool of `shape` (H, W)."""
    rles = coco_mask.frPyObjects([polygon.ravel().tolist() for polygon in found], *shape)
    return np.asarray(coco_mask.decode(coco_mask.merge(rles))).astype(bool)


def filled_to_pixels(found: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return the mask that readers make that round corners to pixels, bool of `shape` (H, W)."""
    filled = np.zeros(shape, dtype=bool)
    for polygon in found:
        picture = Image.new("1", (shape[1], shape[0]))
        whole = np.round(polygon).astype(int)
        ImageDraw.Draw(picture).polygon([*map(tuple, whole)], fill=1, outline=1)
        filled |= np.asarray(picture)
    return filled


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Return intersection over union of two masks; 1 where both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0


def _rings(mask: np.ndarray) -> list[np.ndarray]:
    """The outlines of a mask as the ends of pixel edges in order, each (N, 5) int.

    An end is the row and column of its pixel, the step (down, right) out of the mask, and whether
    it is the second of its edge, with the mask to the right of the way.
    """
    padded = np.pad(mask, 1)
    rings = []
    # A contour at 0.5 passes each pair of neighbours, one in and one out, midway.
    for contour in find_contours(padded.astype(np.float64), 0.5, fully_connected="high"):
        low, high = np.floor(contour[:-1]).astype(int), np.ceil(contour[:-1]).astype(int)
        inside = padded[low[:, 0], low[:, 1]][:, None]
        out = np.where(inside, 1, -1) * (high - low)
        edges = np.hstack([np.where(inside, low, high) - 1, out])
        second = np.tile([0, 1], len(edges))[:, None]
        rings.append(np.hstack([np.repeat(edges, 2, axis=0), second]))
    return rings


def _joined(rings: list[np.ndarray]) -> np.ndarray:
    """One ring of the rings of a part: holes are entered from the left, leftmost first.

    What lies to the left of a hole's leftmost edge is an edge of the outline, or of a hole that was
    joined before.
    """
    whole, *holes = sorted(rings, key=lambda ends: ends[ends[:, 3] == -1, 1].min())
    for hole in sorted(holes, key=lambda ends: ends[_leftmost(ends), 1]):
        at = _leftmost(hole)
        row, column = hole[at, :2]
        facing = (whole[:, 0] == row) & (whole[:, 3] == -1) & (whole[:, 1] <= column)
        ends = np.flatnonzero(facing & (whole[:, 4] == 1))
        place = ends[whole[ends, 1].argmax()]
        turned = np.roll(hole, -at, axis=0)
        whole = np.vstack([whole[: place + 1], turned, turned[:1], whole[place:]])
    return whole


def _leftmost(ends: np.ndarray) -> int:
    """The place of the edge, to the right of its pixel, that lies farthest left in a hole."""
    right = np.flatnonzero((ends[:, 3] == 1) & (ends[:, 4] == 0))
    return int(right[ends[right, 1].argmin()])


def _corners(ends: np.ndarray, corners: Corners) -> np.ndarray:
    """The points of ends, but for those on straight lines: (N, 2) x, y."""
    out = ends[:, 2:4]
    along = np.stack([out[:, 1], -out[:, 0]], axis=1)
    side = out + np.where(ends[:, 4:] == 1, along, -along)
    points = (ends[:, :2] + np.where(side > 0, corners.far, corners.near))[:, ::-1]
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    returns = (before * after).sum(axis=1) < 0
    return points[(np.abs(turns) > 1e-9) | returns]
