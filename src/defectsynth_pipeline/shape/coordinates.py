"""The paper's estimator in image space: averaged coordinates, in an order that fits the shape."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.shape.geometry import EIGHT


def interpolate_coordinates(
    first: np.ndarray, second: np.ndarray, alpha: float, size: tuple[int, int]
) -> np.ndarray:
    """The paper's estimator: weighted average of coordinates, gaps filled, rasterised.

    Args:
        first: Coordinates (K, n, 2) at alpha 0 from `ordered_coordinates`.
        second: The same at alpha 1; resampled to equal length.
        alpha: Position between the two, in [0, 1].
        size: (height, width) of the mask.
    """
    chunks = max(first.shape[0], second.shape[0])
    across = max(first.shape[1], second.shape[1])
    one, two = (_stretched(points, chunks, across) for points in (first, second))
    centred_one, centred_two = one - one.mean((0, 1)), two - two.mean((0, 1))
    turned = centred_two[::-1, ::-1]
    if ((centred_one - turned) ** 2).sum() < ((centred_one - centred_two) ** 2).sum():
        two = two[::-1, ::-1]
    points = [((1 - alpha) * one + alpha * two).reshape(-1, 2)]
    for axis in (0, 1):
        points += _inserted(one, two, alpha, axis)
    pixels = np.rint(np.concatenate(points)).astype(int)
    pixels = pixels[((pixels >= 0) & (pixels < size)).all(axis=1)]
    mask = np.zeros(np.add(size, 2), dtype=bool)
    mask[pixels[:, 0] + 1, pixels[:, 1] + 1] = True
    return np.asarray(ndimage.binary_closing(mask, EIGHT)[1:-1, 1:-1])


def ordered_coordinates(mask: np.ndarray, path: np.ndarray) -> np.ndarray:
    """White-pixel coordinates in an order that follows the shape.

    The paper orders them by raster, which pairs unrelated pixels (comb teeth, bridges). Here they
    go along the skeleton's path (N, 2), and within each step along it from one side to the other.

    Returns:
        Coordinates (K, n, 2): K steps along the path, n places across it.
    """
    pixels = np.argwhere(mask).astype(float)
    arc, side = _along(pixels, path)
    order = np.argsort(arc, kind="stable")
    chunks = max(min(len(path), len(pixels) // 2), 1)
    groups = np.array_split(order, chunks)
    across = max(len(group) for group in groups)
    rows = []
    for group in groups:
        sorted_group = group[np.argsort(side[group], kind="stable")]
        at = np.linspace(0, len(group) - 1, across)
        rows.append(
            np.stack(
                [np.interp(at, np.arange(len(group)), column) for column in pixels[sorted_group].T],
                axis=1,
            )
        )
    return np.stack(rows)


def _along(pixels: np.ndarray, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest index of a path (N, 2) and signed distance to its side, for each pixel."""
    if len(path) == 1:
        return pixels[:, 0], pixels[:, 1]
    gaps = ((pixels[:, None] - path[None]) ** 2).sum(axis=2)
    nearest = gaps.argmin(axis=1)
    tangents = np.gradient(path, axis=0)
    tangents /= np.maximum(np.hypot(*tangents.T), 1e-9)[:, None]
    away, tangent = pixels - path[nearest], tangents[nearest]
    ahead = (away * tangent).sum(axis=1)
    return nearest + ahead, tangent[:, 0] * away[:, 1] - tangent[:, 1] * away[:, 0]


def _stretched(points: np.ndarray, chunks: int, across: int) -> np.ndarray:
    """Resample (K, n, 2) linearly to (chunks, across, 2)."""
    factors = (chunks / points.shape[0], across / points.shape[1], 1)
    return np.asarray(ndimage.zoom(points, factors, order=1))


def _inserted(one: np.ndarray, two: np.ndarray, alpha: float, axis: int) -> list[np.ndarray]:
    """Points between neighbours that lie further apart than a pixel but touched in a parent."""
    a, b, c, d = (
        np.take(points, range(begin, points.shape[axis] - 1 + begin), axis=axis)
        for points in (one, two)
        for begin in (0, 1)
    )
    touching = np.minimum(((a - b) ** 2).sum(-1), ((c - d) ** 2).sum(-1)) <= 8
    start = ((1 - alpha) * a + alpha * c)[touching]
    end = ((1 - alpha) * b + alpha * d)[touching]
    return [start + share * (end - start) for share in (0.25, 0.5, 0.75)]
