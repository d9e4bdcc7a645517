"""A defect put together from patches of all real ones of its type, coarse to fine, untrained.

Every patch of the new defect is like some patch of a real one that lies as deep in its mask and on
the same side of it: the nearest neighbours of Granot et al., "Drop the GAN" (CVPR 2022), Eq. 1,
guided by the mask. So one image may show parts of several real defects, which no transfer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.appearance.transfer import added, around, residual_of
from defectsynth_pipeline.imaging.pixels import Array, feather, resize

_RADIUS = 2  # px of a level: patches of 5 x 5
_DEPTHS = (2.0, 4.0)  # px of a level that a defect is deep, coarsest first; the last is native
_STEP = 1.4  # between two levels, at least
_THICKER = (0.6, 1.6)  # how far a real defect is resized to the new one's thickness
_WEAKER = 1.5  # how much of a loss of strength is made good
_ROUNDS = 3  # of search and vote per level
_GUIDE = 2.0  # what place in the mask counts against a patch's colours, both of variance 1
_NOISE = 0.1  # of the guide, in the first choice
_EVEN = 0.1  # of GPNN: the smaller, the more every real patch is used
_NEAR = 2  # px around a mask that belong to its defect
_MOST = 2500  # patches compared at a time, and of the real defects at most


def patched(
    background: Array,
    mask: Array,
    exemplars: Sequence[tuple[Array, Array]],
    rng: np.random.Generator,
    *,
    severity: float = 1.0,
    relative: bool = True,
    collar: float = 2.0,
) -> Array:
    """Compose a residual of patches on a background.

    Args:
        background: (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, the new defect's shape, not empty.
        exemplars: Real defects of one type: (H', W', 3) in [0, 1] and bool (H', W'), not empty.
        rng: Of the choice among equals.
        severity, relative, collar: As in `transfer.transferred`.

    Returns:
        float32 (H, W, 3) in [0, 1], equal to the background outside the mask's collar.
    """
    real = [residual_of(*exemplar, relative) for exemplar in exemplars]
    inside = mask[around(mask).slices]
    found: Array | None = None
    depth = float(ndimage.distance_transform_edt(inside).max())
    for scale in _scales(depth, int(inside.sum())):
        levels = [_level(residual, own, scale * _thicker(own, depth)) for residual, own in real]
        size = _size(inside.shape, scale)
        guide, near = resize(_guide(inside), size), resize(feather(inside, _NEAR), size) > 0
        start = None if found is None else resize(found, size)
        found = _synthesised(levels, guide, near, start, rng)
    assert found is not None  # there is always one level
    found = resize(found, (inside.shape[0], inside.shape[1]))
    # The mean of patches is weaker than they are.
    lost = np.mean([_strength(*exemplar) for exemplar in real]) / max(
        _strength(found, inside), 1e-6
    )
    change = severity * float(np.clip(lost, 1, _WEAKER)) * found
    return added(background, mask, change, relative=relative, collar=collar)


def _strength(residual: Array, mask: Array) -> float:
    return float((residual[mask] ** 2).mean() ** 0.5)


def _thicker(mask: Array, depth: float) -> float:
    """How many times as thick as the new defect a real one is, within bounds."""
    return float(np.clip(ndimage.distance_transform_edt(mask).max() / depth, *_THICKER))


def _scales(depth: float, area: int) -> list[float]:
    """Native px per px of each level: coarse while the defect is still some px deep."""
    finest = max(1.0, (area / _MOST) ** 0.5)
    return [*(s for s in (depth / deep for deep in _DEPTHS) if s > _STEP * finest), finest]


def _size(shape: Sequence[int], scale: float) -> tuple[int, int]:
    return max(3, round(shape[0] / scale)), max(3, round(shape[1] / scale))


def _guide(mask: Array) -> Array:
    """(H, W, 3): relative depth, and which way the nearest edge lies, (row, column)."""
    inner, outer = (ndimage.distance_transform_edt(m) for m in (mask, ~mask))
    signed = inner - outer
    deep = max(float(inner.max()), 1.0)
    slope = np.stack(np.gradient(ndimage.gaussian_filter(signed, max(0.7, deep / 4))), -1)
    relative = np.clip(signed / deep, -1, 1)
    side = slope * (1 - np.clip(relative, 0, 1))[..., None]
    return np.concatenate([relative[..., None], side], -1).astype(np.float32)


class _Level(NamedTuple):
    residual: Array  # (h, w, C)
    guide: Array  # (h, w, 3)
    near: Array  # (h, w) bool


def _level(residual: Array, mask: Array, scale: float) -> _Level:
    size = _size(mask.shape, scale)
    near = resize(feather(mask, _NEAR), size) > 0
    return _Level(resize(residual.astype(np.float32), size), resize(_guide(mask), size), near)


def _synthesised(
    real: list[_Level], guide: Array, near: Array, start: Array | None, rng: np.random.Generator
) -> Array:
    """One level: patches searched among the real ones, their mean taken, again and again."""
    patches = np.concatenate([_patches(level.residual, level.near) for level in real])
    guides = np.concatenate([level.guide[level.near] for level in real])
    if len(patches) > _MOST:
        kept = rng.choice(len(patches), _MOST, replace=False)
        patches, guides = patches[kept], guides[kept]
    deviation = max(float(patches.std()), 1e-6) * patches.shape[1] ** 0.5
    weight = _GUIDE / (guides.std(0).mean() + 1e-6) * 3**-0.5
    wanted = guide[near] * weight
    keys = guides * weight
    if start is None:
        noise = rng.normal(scale=_NOISE, size=wanted.shape)
        start = _voted(patches[_nearest(wanted + noise, keys)], near)
    for _ in range(_ROUNDS):
        own = _patches(start, near) / deviation
        chosen = _nearest(np.hstack([own, wanted]), np.hstack([patches / deviation, keys]))
        start = _voted(patches[chosen], near)
    return start


def _patches(values: Array, near: Array) -> Array:
    """(N, side * side * C) around every pixel of `near`."""
    side = 2 * _RADIUS + 1
    padded = np.pad(values, ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))
    return windows[near].transpose(0, 2, 3, 1).reshape(int(near.sum()), -1)


def _nearest(wanted: Array, real: Array) -> Array:
    """Numbers (N,) of the nearest rows of `real`, those that are near to many held back."""
    wanted, real = wanted.astype(np.float32), real.astype(np.float32)
    own = (real**2).sum(1)

    def squares(part: Array) -> Array:
        return np.maximum((part**2).sum(1)[:, None] + own - 2 * part @ real.T, 0)

    parts = [wanted[i : i + _MOST] for i in range(0, len(wanted), _MOST)]
    nearest = np.min([squares(part).min(0) for part in parts], 0)
    even = nearest + _EVEN * np.median(nearest)
    return np.concatenate([(squares(part) / (even + 1e-9)).argmin(1) for part in parts])


def _voted(patches: Array, near: Array) -> Array:
    """(H, W, C), the mean of all patches that cover a pixel; 0 where there is none."""
    side = 2 * _RADIUS + 1
    blocks = patches.reshape(len(patches), side, side, -1)
    height, width = near.shape
    total = np.zeros((height + 2 * _RADIUS, width + 2 * _RADIUS, blocks.shape[-1]))
    count = np.zeros(total.shape[:2])
    rows, columns = np.nonzero(near)
    for down in range(side):
        for right in range(side):
            total[rows + down, columns + right] += blocks[:, down, right]
            count[rows + down, columns + right] += 1
    inner = slice(_RADIUS, -_RADIUS)
    return np.asarray((total / np.maximum(count, 1)[..., None])[inner, inner])
