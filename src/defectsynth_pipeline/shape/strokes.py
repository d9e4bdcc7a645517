"""Strokes: paths with a radius at every point, and how they become pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

_SPARSE = 3
"""Discs of radius r are drawn every r / 3 points: the scallops stay below r / 18."""


@dataclass(frozen=True)
class Stroke:
    """A path of sub-pixel points (N, 2) as (row, column) about one pixel apart.

    `radii` (N,) are in pixels; 0 is a gap that is part of the path but not drawn.
    """

    points: np.ndarray
    radii: np.ndarray

    @property
    def area(self) -> float:
        """Approximate area in pixels."""
        steps = np.hypot(*np.diff(self.points, axis=0).T) if len(self.points) > 1 else np.ones(1)
        return float(2 * (self.radii[: len(steps)] * steps).sum())

    def moved(self, points: np.ndarray) -> Stroke:
        """The same stroke along other points."""
        return replace(self, points=points)

    def scaled_width(self, factor: float) -> Stroke:
        """The same path with all radii multiplied; what was drawn stays drawn."""
        return replace(self, radii=self.radii * factor)

    def no_wider(self, radius: float) -> Stroke:
        """The same path with no radius above `radius`."""
        return replace(self, radii=np.minimum(self.radii, radius))


@dataclass(frozen=True)
class Branch:
    """Strokes that leave the main path together, at a fraction of its arc length."""

    at: float
    strokes: tuple[Stroke, ...]

    @property
    def area(self) -> float:
        """Approximate area in pixels."""
        return sum(stroke.area for stroke in self.strokes)


@dataclass(frozen=True)
class StrokeTree:
    """A whole mask: its longest path and everything that branches off."""

    main: Stroke
    branches: tuple[Branch, ...]

    @property
    def strokes(self) -> list[Stroke]:
        """All strokes, the main path first."""
        return [self.main, *(stroke for branch in self.branches for stroke in branch.strokes)]


def draw(strokes: Iterable[Stroke], height: int, width: int) -> np.ndarray:
    """Rasterise strokes as unions of discs; at least the pixel under each drawn point is set."""
    mask = np.zeros((height, width), dtype=bool)
    points, radii = _dense(list(strokes))
    _stamp(mask, points, np.zeros((1, 2), dtype=int), None)
    bucket = np.ceil(radii).astype(int)
    for size in np.unique(bucket):
        chosen = np.flatnonzero(bucket == size)[:: max(int(size) // _SPARSE, 1)]
        span = np.arange(-size, size + 1)
        offsets = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
        _stamp(mask, points[chosen], offsets, radii[chosen])
    return mask


def _dense(strokes: list[Stroke]) -> tuple[np.ndarray, np.ndarray]:
    """Drawn points of all strokes at half-pixel distance, in the order of the paths."""
    points, radii = [], []
    for stroke in strokes:
        where, size = stroke.points, stroke.radii
        if len(where) > 1:
            arc = np.append(0, np.cumsum(np.hypot(*np.diff(where, axis=0).T)))
            fine = np.linspace(0, arc[-1], 2 * int(np.ceil(arc[-1])) + 1)
            nearest = np.searchsorted((arc[1:] + arc[:-1]) / 2, fine)
            drawn = size[nearest] > 0
            where = np.stack([np.interp(fine, arc, column) for column in where.T], axis=1)
            size = np.interp(fine, arc, size) * drawn
        keep = size > 0
        points.append(where[keep])
        radii.append(size[keep])
    return np.concatenate(points), np.concatenate(radii)


def _stamp(
    mask: np.ndarray, points: np.ndarray, offsets: np.ndarray, radii: np.ndarray | None
) -> None:
    """Set the pixels at `offsets` of each point, within its radius where one is given."""
    pixels = np.rint(points).astype(int)[:, None] + offsets
    inside = ((pixels >= 0) & (pixels < mask.shape)).all(axis=2)
    if radii is not None:
        far = ((pixels - points[:, None]) ** 2).sum(axis=2)
        inside &= far <= (radii**2)[:, None]
    chosen = pixels[inside]
    mask[chosen[:, 0], chosen[:, 1]] = True
