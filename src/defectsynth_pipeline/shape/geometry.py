"""What a mask measures, and how it changes size; every other module of the room builds on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.morphology import skeletonize

from defectsynth_pipeline.imaging.pixels import counterparts
from defectsynth_pipeline.imaging.rectangle import Rectangle

Contact: TypeAlias = tuple[float, float, float, float]
EIGHT = np.ones((3, 3), dtype=bool)
"""Connectivity of every count of parts: diagonal neighbours belong together."""


@dataclass(frozen=True)
class Measures:
    """Figures of one mask.

    Attributes:
        area: Defect pixels.
        width: Median stroke width in pixels, 2 x the distance transform on the skeleton.
        length: Skeleton pixels.
        reach: Diagonal of the bounding box in pixels.
        parts: Connected parts (8-neighbourhood).
        centroid: Mean (row, column).
        angle: Direction of the main axis, radians in [-pi/2, pi/2).
        axes: Standard deviation of the pixels along and across the main axis.
        contact: Share of the frame's top, bottom, left and right side that the mask covers.
    """

    area: int
    width: float
    length: int
    reach: float
    parts: int
    centroid: tuple[float, float]
    angle: float
    axes: tuple[float, float]
    contact: Contact

    @property
    def elongation(self) -> float:
        """Ratio of the main axes, >= 1."""
        return self.axes[0] / self.axes[1]

    @property
    def slenderness(self) -> float:
        """Skeleton length over stroke width; about 1 for blobs, tens for cracks."""
        return self.length / self.width


def skeleton_and_radii(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skeleton of a nonempty mask and the distance to the background on it.

    The frame counts as background, so a stroke that is cut by the frame keeps its own width.

    Returns:
        Points (N, 2) as (row, column) and distances (N,) in pixels, both of `mask`'s frame.
    """
    box = Rectangle.around(mask, margin=1)
    crop = np.pad(mask[box.slices], 1)
    offset = np.array([box.top - 1, box.left - 1])
    points = np.argwhere(skeletonize(crop))
    if len(points) == 0:
        points = np.argwhere(crop)[:1]
    radii = ndimage.distance_transform_edt(crop)[points[:, 0], points[:, 1]]
    return points + offset, radii


def half_turn(angle: float) -> float:
    """The same undirected axis as an angle in [-pi/2, pi/2)."""
    return float((angle + np.pi / 2) % np.pi - np.pi / 2)


def main_axis(points: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Direction in [-pi/2, pi/2) of pixels (N, 2) as (row, column), and deviations along it."""
    if len(points) < 2:
        return 0.0, (12**-0.5, 12**-0.5)
    spread, vectors = np.linalg.eigh(np.cov(points.T.astype(float)) + 1e-9 * np.eye(2))
    row, column = vectors[:, 1]
    angle = half_turn(np.arctan2(row, column))
    minor, major = np.sqrt(np.maximum(spread, 0) + 1 / 12)
    return angle, (float(major), float(minor))


def measure(mask: np.ndarray) -> Measures:
    """Measure one nonempty mask (H, W) of bool."""
    box = Rectangle.around(mask)
    crop = mask[box.slices]
    points = np.argwhere(crop)
    skeleton, radii = skeleton_and_radii(mask)
    angle, axes = main_axis(points)
    centroid = points.mean(axis=0) + np.array([box.top, box.left])
    return Measures(
        area=len(points),
        width=float(np.median(2 * radii)),
        length=len(skeleton),
        reach=float(np.hypot(*crop.shape)),
        parts=int(ndimage.label(crop, EIGHT)[1]),
        centroid=(float(centroid[0]), float(centroid[1])),
        angle=angle,
        axes=axes,
        contact=contact(mask),
    )


def contact(mask: np.ndarray) -> Contact:
    """Share of the top, bottom, left and right side of the frame that a mask (H, W) covers."""
    top, bottom, left, right = (
        float(side.mean()) for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    )
    return top, bottom, left, right


def cut_alike(one: Contact, two: Contact, least: float = 0.0) -> bool:
    """Whether the frame cuts two masks on the same sides, or one on some of the other's.

    Args:
        one: As `contact` gives it.
        two: Likewise.
        least: Share of a side that has to be covered by more than this to count.
    """
    first, second = (
        {number for number, share in enumerate(shares) if share > least} for shares in (one, two)
    )
    return first <= second or second <= first


def top_pixels(field: np.ndarray, count: int) -> np.ndarray:
    """The mask of exactly `count` (at least 1) highest pixels of a field, ties by position."""
    count = min(max(int(count), 1), field.size)
    mask = np.zeros(field.shape, dtype=bool)
    if count == field.size:
        return ~mask
    mask.flat[np.argpartition(field, field.size - count, axis=None)[-count:]] = True
    return mask


def without_specks(mask: np.ndarray, parts: int) -> np.ndarray:
    """Keep the `parts` largest parts of a mask (H, W)."""
    labels, count = ndimage.label(mask, EIGHT)
    if count <= parts:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(np.isin(labels, 1 + np.argsort(-sizes, kind="stable")[:parts]))


def fit_area(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A nonempty mask (H, W) at another size (h, w), see `counterparts`, by `resize_mask`."""
    own, place = counterparts(mask, size)
    fitted = np.zeros(size, dtype=bool)
    fitted[place.slices] = resize_mask(mask[own.slices], place.width, place.height)
    return fitted


def resize_mask(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize a mask so that its area ratio stays the same to a pixel.

    Nearest-neighbour resizing would break thin strokes and a fixed threshold erase them, so the
    fractional coverage is ranked and as many pixels are kept as the ratio asks for.
    """
    if mask.shape == (height, width):
        return mask
    coverage = Image.fromarray(mask.astype(np.float32)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    return top_pixels(np.asarray(coverage), round(float(mask.mean()) * width * height))
