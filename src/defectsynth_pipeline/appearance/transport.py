"""Which pixel of a real defect each pixel of a new shape shows: smooth, and without turning it.

A free rotation turns the light's side of a dent, and the nearest pixel of a like depth tears a
scratch. So compact shapes go by optimal transport: first the linear map between the shapes' second
moments, which stretches and never turns, then pairs of points, one to one, and a smooth map through
them. Thin shapes go along their strokes, by arc length and signed distance from the middle line,
which keeps their bright and their dark side apart. Our own addition; the paper has nothing like it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.interpolate import RBFInterpolator
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from defectsynth_pipeline.imaging.motion import rotation
from defectsynth_pipeline.shape.strokes import Stroke, stroke_tree

Array = np.ndarray
_POINTS = 350
_DEPTH = 3.0  # how much of relative depth counts, as a multiple of the thickness
_SMOOTHING = 3.0  # of the map through the pairs, in square roots of the points' distance
_THIN = 0.16  # thickness over the extent, below which a shape is a stroke
_STAIRCASE = 3.0  # points along a middle line over which it is a mean
_STRETCH = (0.5, 2.0)  # how far a stroke is stretched along or across before it is repeated


def is_thin(mask: Array) -> bool:
    """Whether a mask (H, W), not empty, is made of strokes."""
    extent = max(np.ptp(axis) + 1 for axis in np.nonzero(mask))
    return 2 * float(ndimage.distance_transform_edt(mask).max()) < _THIN * extent


def sources(real_mask: Array, mask: Array, wanted: Array, degrees: float = 0.0) -> Array:
    """Return where on a real defect's image the pixels of a new shape come from.

    Args:
        real_mask: (H', W') bool, not empty.
        mask: (H, W) bool, not empty.
        wanted: (N, 2) pixels (row, column) of the new shape or near it.
        degrees: By how much the new shape's surroundings are turned against the real ones.

    Returns:
        (N, 2) sub-pixel places; for pixels of the mask, within half a pixel of the real mask.
    """
    turn = rotation(degrees)
    if is_thin(real_mask) and is_thin(mask):
        places = _along_strokes(real_mask, mask, wanted, turn)
    else:
        places = _transported(real_mask, mask, wanted, turn)
    inside = mask[tuple(wanted.T)]
    places[inside] = _held(places[inside], real_mask)
    return places


def _held(places: Array, mask: Array) -> Array:
    """Places (N, 2) moved onto the pixels of a mask where they are off them."""
    last = np.array(mask.shape) - 1
    pixels = np.clip(np.rint(places).astype(int), 0, last)
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    off = ~mask[tuple(pixels.T)]
    held = places.copy()
    held[off] = nearest[:, pixels[off, 0], pixels[off, 1]].T
    return held


def _transported(real_mask: Array, mask: Array, wanted: Array, turn: Array) -> Array:
    real, new = (np.argwhere(m).astype(np.float64) for m in (real_mask, mask))
    middle, goal = real.mean(0), new.mean(0)
    # Points are compared on the new shape: the real ones turned with the part, then stretched.
    moved = (real - middle) @ turn.T
    moved = moved @ _between_moments(_moments(moved), _moments(new - goal)).T
    depths = [_relative_depth(m)[m] for m in (real_mask, mask)]
    weight = _DEPTH * float(ndimage.distance_transform_edt(mask).max())
    count = min(_POINTS, len(real), len(new))
    chosen, others = (np.linspace(0, len(p) - 1, count).astype(int) for p in (new, real))
    here = np.column_stack([new - goal, weight * depths[1]])[chosen]
    there = np.column_stack([moved, weight * depths[0]])[others]
    gaps = ((here[:, None] - there[None]) ** 2).sum(-1)
    first, second = linear_sum_assignment(gaps)
    pairs = real[others[second]]
    if count < 8:
        return wanted - goal + middle
    spacing = np.sqrt(len(new) / count)
    fitted = RBFInterpolator(
        new[chosen[first]],
        pairs,
        kernel="linear",
        smoothing=_SMOOTHING * spacing * np.sqrt(count),
        degree=1,
        neighbors=None,
    )
    return np.asarray(fitted(wanted.astype(np.float64)))


def _moments(points: Array) -> Array:
    """Second moments (2, 2) of centred points (N, 2), that of a pixel added."""
    return np.asarray(points.T @ points / len(points) + np.eye(2) / 12)


def _between_moments(one: Array, two: Array) -> Array:
    """The symmetric matrix (2, 2) that optimal transport between two Gaussians applies."""
    root = _root(one)
    back = np.linalg.inv(root)
    return np.asarray(back @ _root(root @ two @ root) @ back)


def _root(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 1e-9))) @ vectors.T)


def _relative_depth(mask: Array) -> Array:
    """0 outside, 1 on the middle line of each part of the mask."""
    depth = ndimage.distance_transform_edt(mask)
    reach = 2 * int(np.ceil(depth.max())) + 1
    return np.asarray(depth / np.maximum(ndimage.maximum_filter(depth, size=reach), 1.0))


def _along_strokes(real_mask: Array, mask: Array, wanted: Array, turn: Array) -> Array:
    """Every pixel goes with the stroke nearest to it, main path to main path, branch to branch."""
    new, real = (list(map(_Line, stroke_tree(m).strokes)) for m in (mask, real_mask))
    partners = [real[0], *(_partner(line, real[1:] or real) for line in new[1:])]
    points = np.concatenate([line.points for line in new])
    owner = np.repeat(np.arange(len(new)), [len(line.points) for line in new])
    nearest = cKDTree(points).query(wanted)[1]
    places = np.empty((len(wanted), 2))
    for number, (line, partner) in enumerate(zip(new, partners, strict=True)):
        own = owner[nearest] == number
        if own.any():
            found = line.locate(wanted[own])
            places[own] = partner.at(*found, like=line, turn=turn, rooted=number > 0)
    return places


def _partner(line: _Line, others: list[_Line]) -> _Line:
    """The shortest stroke that is as long, or the longest."""
    longer = [other for other in others if other.length >= line.length]
    if longer:
        return min(longer, key=lambda other: other.length)
    return max(others, key=lambda other: other.length)


def _smooth(values: Array) -> Array:
    """Values (N,) or (N, 2) along a stroke without the staircase of its pixels."""
    return np.asarray(ndimage.gaussian_filter1d(values, _STAIRCASE, axis=0, mode="nearest"))


class _Line:
    """A stroke that can be walked along: points about a pixel apart, tangents, radii."""

    def __init__(self, stroke: Stroke) -> None:
        self.points = _smooth(stroke.points)
        self.arc = np.append(0.0, np.cumsum(np.hypot(*np.diff(self.points, axis=0).T)))
        self.length = float(self.arc[-1])
        self.radii = np.maximum(_smooth(stroke.radii) + 0.5, 1.0)
        along = np.gradient(self.points, axis=0) if self.length else np.zeros((1, 2))
        size = np.hypot(*along.T)[:, None]
        self.tangents = np.where(size > 0, along / np.maximum(size, 1e-9), [0.0, 1.0])

    def locate(self, pixels: Array) -> tuple[Array, Array, Array]:
        """Arc length, signed distance to the right, and way past an end of pixels (N, 2)."""
        nearest = cKDTree(self.points).query(pixels)[1]
        away, tangent = pixels - self.points[nearest], self.tangents[nearest]
        ahead = (away * tangent).sum(1)
        arc = self.arc[nearest] + ahead
        within = np.clip(arc, 0, self.length)
        return within, away[:, 1] * tangent[:, 0] - away[:, 0] * tangent[:, 1], arc - within

    def at(
        self, arc: Array, aside: Array, past: Array, *, like: _Line, turn: Array, rooted: bool
    ) -> Array:
        """Where places found by `locate` on another line are on this one.

        The side that faces the light keeps facing it: a main path that runs the other way is
        walked backwards, and a branch, which is rooted at its start, is mirrored.
        """
        ratio = self.length / max(like.length, 1.0)
        if ratio < _STRETCH[0]:  # there is less of it than is asked for: to and fro
            walked = np.abs((arc + self.length) % max(2 * self.length, 1e-9) - self.length)
        else:
            walked = arc * min(ratio, _STRETCH[1])
        chord, own = like.points[-1] - like.points[0], self.points[-1] - self.points[0]
        backwards = float(chord @ turn @ own) < 0
        if backwards:
            aside = -aside
        if backwards and not rooted:
            walked, past = self.length - walked, -past
        columns = [self.points, self.tangents, self.radii[:, None]]
        table = np.concatenate(columns, axis=1)
        found = np.stack([np.interp(walked, self.arc, column) for column in table.T], 1)
        at_there = np.interp(arc, like.arc, like.radii)
        wider = np.clip(found[:, 4] / at_there, *_STRETCH)
        right = np.stack([-found[:, 3], found[:, 2]], 1)
        return found[:, :2] + (aside * wider)[:, None] * right + past[:, None] * found[:, 2:4]
