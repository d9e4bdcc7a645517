"""Interpolation of two paths by arc length."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from defectsynth_pipeline.shape.strokes import Stroke

ROUGHNESS = 12.0
"""Bends shorter than about this many pixels are roughness: taken from one parent, not averaged."""


def blend_paths(
    near: Stroke, far: Stroke, share: float, size: tuple[int, int]
) -> tuple[np.ndarray, slice]:
    """Interpolate two paths by arc length, `share` in [0, 0.5] being the weight of `far`.

    Returns:
        Points (M, 2), and the slice of them that corresponds to the paths; what is outside it
        continues a path that ran out of the frame until it does so again.
    """
    count = max(len(near.points), len(far.points), 2)
    one, two = _resample(near.points, count), _resample(far.points, count)
    shape_one, centre_one, scale_one = _normalised(one)
    shape_two, centre_two, scale_two = _normalised(two)
    overlap = np.vdot(shape_two, shape_one)
    if overlap.real < 0:
        shape_two, overlap = shape_two[::-1], np.vdot(shape_two[::-1], shape_one)
    turn = float(np.angle(overlap))
    mixed = (1 - share) * _smooth(shape_one) + share * _smooth(shape_two) * np.exp(1j * turn)
    mixed /= max(float(np.sqrt((np.abs(mixed) ** 2).mean())), 1e-9)
    scale = scale_one ** (1 - share) * scale_two**share
    rough = (shape_one - _smooth(shape_one)) * scale_one
    path = (mixed * scale + rough) * np.exp(-1j * turn * share)
    path += (1 - share) * centre_one + share * centre_two
    points = np.stack([path.real, path.imag], axis=1)
    return _continued(points, near.points, size)


def _continued(
    points: np.ndarray, parent: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, slice]:
    """Mirror the tails of a path onwards where its parent ran into the frame."""
    leaves = [_at_frame(parent[0], size), _at_frame(parent[-1], size)]
    more = len(points) - 1 if any(leaves) else 0
    longer = np.pad(points, ((more, more), (0, 0)), mode="reflect", reflect_type="odd")
    outside = np.any((longer < 0) | (longer > np.array(size) - 1), axis=1)
    begin, end = more, more + len(points)
    while leaves[0] and begin > 0 and not outside[begin]:
        begin -= 1
    while leaves[1] and end < len(longer) and not outside[end - 1]:
        end += 1
    return longer[begin:end], slice(more - begin, more - begin + len(points))


def _at_frame(point: np.ndarray, size: tuple[int, int]) -> bool:
    margin = 3
    return bool((point < margin).any() or (point > np.array(size) - 1 - margin).any())


def _resample(points: np.ndarray, count: int) -> np.ndarray:
    """`count` points (count, 2) at equal arc length."""
    if len(points) == 1:
        return np.repeat(points, count, axis=0)
    arc = np.append(0, np.cumsum(np.hypot(*np.diff(points, axis=0).T)))
    at = np.linspace(0, arc[-1], count)
    return np.stack([np.interp(at, arc, column) for column in points.T], axis=1)


def _normalised(points: np.ndarray) -> tuple[np.ndarray, complex, float]:
    """Path as complex numbers of mean 0 and root mean square 1, its centre and its scale."""
    path = points[:, 0] + 1j * points[:, 1]
    centre = complex(path.mean())
    scale = max(float(np.sqrt((np.abs(path - centre) ** 2).mean())), 1e-9)
    return (path - centre) / scale, centre, scale


def _smooth(path: np.ndarray) -> np.ndarray:
    def filtered(values: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter1d(values, ROUGHNESS, mode="nearest"))

    return filtered(path.real) + 1j * filtered(path.imag)
