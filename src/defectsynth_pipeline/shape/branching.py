"""Cracks: thin and branching shapes, interpolated as trees of strokes so that thin stays thin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from defectsynth_pipeline.shape.geometry import Measures, half_turn, skeleton_and_radii
from defectsynth_pipeline.shape.strokes import Branch, Stroke, StrokeTree, draw
from defectsynth_pipeline.shape.variation import Warp, rotate

_SLENDER = 10.0
"""Skeleton length over stroke width from which a type is interpolated as strokes."""
_CLOSE = 0.1
_ROUGHNESS = 12.0
"""Bends shorter than about this many pixels are roughness: taken from one parent, not averaged."""


@dataclass(frozen=True)
class Crack:
    """A parent: its strokes and its measures."""

    tree: StrokeTree
    measures: Measures


def is_branching(measures: Iterable[Measures]) -> bool:
    """Whether the masks of a type are thin (cracks, scratches) rather than compact."""
    return bool(np.median([measured.slenderness for measured in measures]) >= _SLENDER)


def interpolate_cracks(
    first: Crack,
    second: Crack,
    alpha: float,
    *,
    rng: np.random.Generator,
    size: tuple[int, int],
    warp: Warp,
    area: tuple[int, int],
) -> np.ndarray:
    """A new crack between two real ones.

    The main paths are interpolated by arc length after a rotation and scale of their own
    (so that crossing cracks turn instead of shrinking). Roughness and width profile come from the
    parent that is nearer; branches come from both and are attached again at their fraction of the
    new path, until the interpolated area is reached. Stroke width and area are interpolated on a
    logarithmic scale.

    Args:
        first: Parent at alpha 0.
        second: Parent at alpha 1.
        alpha: Position between the two, in [0, 1].
        rng: Decides which branches are taken.
        size: (height, width) of the mask.
        warp: Change applied to the finished strokes.
        area: Range in pixels that widths are corrected for, by a fifth at most.

    Returns:
        Mask (height, width) of bool, empty if the crack was warped out of the frame.
    """
    near, far, share = (first, second, alpha) if alpha < 0.5 else (second, first, 1 - alpha)
    points, inner = _blended_paths(near.tree.main, far.tree.main, share, size)
    ratio = far.measures.width / near.measures.width
    own = near.tree.main.radii
    radii = own[np.rint(np.linspace(0, len(own) - 1, inner.stop - inner.start)).astype(int)]
    inside = Stroke(points[inner], radii * ratio**share)
    tails = (inner.start, len(points) - inner.stop)
    main = Stroke(points, np.pad(inside.radii, tails, mode="reflect"))
    target = near.measures.area ** (1 - share) * far.measures.area**share
    fill = target / near.measures.area * sum(stroke.area for stroke in near.tree.strokes)
    strokes = [main]
    for branch, origin in _chosen(near, far, share, fill - main.area, rng):
        factor = ratio ** (share if origin is near else share - 1)
        strokes += [
            replace(stroke, radii=np.minimum(stroke.radii * factor, main.radii.max()))
            for stroke in _attached(branch, origin.tree.main, inside)
        ]
    centre, width = main.points.mean(axis=0), near.measures.width * ratio**share
    return _drawn(strokes, centre, size=size, warp=warp, area=area, width=width)


def warped_crack(
    crack: Crack, *, size: tuple[int, int], warp: Warp, area: tuple[int, int]
) -> np.ndarray:
    """One real crack, bent: the last resort, as it adds little that is new."""
    centre, width = np.array(crack.measures.centroid), crack.measures.width
    return _drawn(crack.tree.strokes, centre, size=size, warp=warp, area=area, width=width)


def _drawn(
    strokes: list[Stroke],
    centre: np.ndarray,
    *,
    size: tuple[int, int],
    warp: Warp,
    area: tuple[int, int],
    width: float,
) -> np.ndarray:
    """Warp and rasterise, a little wider or finer where the pixel grid missed width or area.

    The median width of a stroke of two or three pixels jumps by 40 % with its place on the grid.
    """
    moved = [replace(stroke, points=warp.forward(stroke.points, centre)) for stroke in strokes]
    best, least, factors = np.zeros(size, dtype=bool), np.inf, [1.0]
    while factors and least > _CLOSE:
        factor = factors.pop(0)
        mask = draw([stroke.scaled_width(factor) for stroke in moved], *size)
        if not mask.any():
            break
        missed = _missed(int(mask.sum()), area)
        found = float(np.median(2 * skeleton_and_radii(mask)[1]))
        error = abs(float(np.log(found / width))) + 5 * abs(float(np.log(missed)))
        if error < least:
            best, least = mask, error
        if factor == 1:
            factors = [0.9, 1.1, 0.8, 1.22] if missed == 1 else [missed, missed**1.6, missed**2.2]
            factors = [min(max(value, 0.75), 1.3) for value in factors]
    return best


def _missed(count: int, area: tuple[int, int]) -> float:
    """Factor that brings an area into its range, a fifth of the range inside; 1 if it is there."""
    if area[0] <= count <= area[1]:
        return 1.0
    inner = (area[1] - area[0]) / 5
    return float(np.clip(count, area[0] + inner, area[1] - inner) / count)


def _chosen(
    near: Crack, far: Crack, share: float, room: float, rng: np.random.Generator
) -> list[tuple[Branch, Crack]]:
    """Draw branches of both parents without overshooting the room that the area leaves."""
    slack = 0.1 * near.measures.area
    pool = [(branch, near) for branch in near.tree.branches]
    pool += [(branch, far) for branch in far.tree.branches]
    weights = np.array([1 - share if origin is near else share for _, origin in pool])
    order = np.argsort(-(rng.uniform(size=len(pool)) ** (1 / np.maximum(weights, 1e-3))))
    taken = []
    for index in order:
        branch, origin = pool[index]
        if branch.area <= room + slack:
            taken.append((branch, origin))
            room -= branch.area
    return taken


def _attached(branch: Branch, parent: Stroke, main: Stroke) -> list[Stroke]:
    """Carry a branch from its parent's main path to the new one, turning with the path."""
    old, (_, old_direction) = branch.strokes[0].points[0], _frame_at(parent.points, branch.at)
    new, new_direction = _frame_at(main.points, branch.at)
    turn = np.angle(old_direction / new_direction) if old_direction and new_direction else 0.0
    return [
        replace(stroke, points=rotate(stroke.points - old, half_turn(turn)) + new)
        for stroke in branch.strokes
    ]


def _frame_at(points: np.ndarray, at: float) -> tuple[np.ndarray, complex]:
    """Point and direction (unnormalised, row + i column) at a fraction of a path's arc length."""
    index = round(at * (len(points) - 1))
    span = int(_ROUGHNESS)
    ahead = points[min(index + span, len(points) - 1)]
    behind = points[max(index - span, 0)]
    return points[index], complex(*(ahead - behind))


def _blended_paths(
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
        return np.asarray(gaussian_filter1d(values, _ROUGHNESS, mode="nearest"))

    return filtered(path.real) + 1j * filtered(path.imag)
