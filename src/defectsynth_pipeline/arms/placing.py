"""Where a real defect is pasted: on the same spot of another part, or anywhere on a texture.

The part is told from its ground, and laid over another, as for the synthetic images
(`appearance.placement`), so that no arm wins by placement alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from defectsynth_pipeline.appearance.alignment import Alignment
from defectsynth_pipeline.appearance.placement import (
    GRID,
    lay_over,
    part_map,
    share_on_part,
)
from defectsynth_pipeline.appearance.plan import ON_PART, TRIES
from defectsynth_pipeline.arms.motion import Motion, in_values_of, landed_mask
from defectsynth_pipeline.corpora.reading import full_scale, load_image, load_mask, to_float

Array = np.ndarray
PLACES = 8  # on a texture: random places, of which the one with the likest surroundings is taken
RING = (2, 6)  # px outside the mask
_POINTS = 400
_FEW = 5


class Shot(NamedTuple):
    """What the pixels of a sample depend on: a key for what is computed once per process."""

    sha256: str
    root: str
    image: str
    mask: str
    derivation: str
    mask_of: str
    x: int
    y: int
    width: int
    height: int


def shot(row: pd.Series) -> Shot:
    """Return the shot of a row of `samples`."""
    return Shot(*(kind(row[name]) for name, kind in zip(Shot._fields, _KINDS, strict=True)))


_KINDS = (*[str] * 6, *[int] * 4)


def place(donor: Shot, backgrounds: Sequence[Shot], rng: np.random.Generator) -> tuple[int, Motion]:
    """Choose a background, and a place on it, for the defect of a donor.

    On a part: up to `TRIES` backgrounds until the defect lies on the part as much as it did on its
    own. On a texture: the first background of the draw; a defect that runs out of its image keeps
    running out of the new one at that side.

    Args:
        donor: A defective shot.
        backgrounds: Defect-free shots of the category.
        rng: Source of all draws.

    Returns:
        The number of the background, and the motion of the donor onto it.
    """
    order = [int(number) for number in rng.permutation(len(backgrounds))[:TRIES]]
    own = _part(donor)
    if own is None or not show_parts(backgrounds):
        return order[0], _anywhere(donor, backgrounds[order[0]], rng)
    mask = load_mask(donor)
    goal = ON_PART * share_on_part(mask, own)
    best = (0.0, order[0], Motion(scale=_same_size(donor, backgrounds[order[0]])))
    for number in order:
        target = _part(backgrounds[number])
        if target is None:
            continue
        motion = on_part(donor, mask, backgrounds[number])
        placed = landed_mask(mask, motion, _shape(backgrounds[number]))
        kept = min(1.0, placed.sum() / max(mask.sum() * motion.scale**2, 1))
        best = max(best, (kept * share_on_part(placed, target), number, motion), key=_score)
        if best[0] >= goal:
            break
    return best[1], best[2]


def show_parts(normals: Sequence[Shot]) -> bool:
    """Return whether the first few of these shots show parts on a ground, not a texture.

    Asked of normals: on an even texture the defect itself looks like a part.
    """
    few = normals[:_FEW]
    return 2 * sum(_part(sample) is not None for sample in few) > len(few)


def on_part(donor: Shot, mask: Array, background: Shot) -> Motion:
    """Return the motion that lays the donor's part over the background's; both have one."""
    over = _over(donor, background).scaled(max(_shape(background)) / GRID)
    scale = _same_size(donor, background)
    centre = (np.array(ndimage.center_of_mass(mask)) + 0.5) * scale - 0.5
    shift = over.moved(centre[None])[0] - centre
    if over.angle == 0:
        shift = shift.round()  # whole pixels are copied, not resampled
    return Motion(scale, over.angle, *map(float, shift), *map(float, centre))


def ring(mask: Array, spread: tuple[int, int] = RING) -> Array:
    """Return the ring (H, W) bool around a mask, `spread` pixels from it."""
    distance = ndimage.distance_transform_edt(~mask)
    return np.asarray((distance > spread[0]) & (distance <= spread[1]))


def _anywhere(donor: Shot, background: Shot, rng: np.random.Generator) -> Motion:
    """Return the best of some random places in the frame, by the surroundings of the defect."""
    mask, shape = load_mask(donor), _shape(background)
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    spans = [(int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))]
    sizes = [high - low + 1 for low, high in spans]
    scale = min(1.0, *(limit / size for limit, size in zip(shape, sizes, strict=True)))
    free = [
        _free(low, high, side, limit, scale)
        for (low, high), side, limit in zip(spans, mask.shape, shape, strict=True)
    ]
    places = [
        Motion(scale, 0.0, *(float(rng.integers(low, high + 1)) for low, high in free))
        for _ in range(PLACES)
    ]
    if all(low == high for low, high in free):
        return places[0]
    return places[int(np.argmin(_unlikeness(donor, background, places)))]


def _free(low: int, high: int, side: int, limit: int, scale: float) -> tuple[int, int]:
    """First and last whole-pixel shift that keeps a span [low, high] of `side` px in `limit` px."""
    first = math.ceil(-low * scale - 1e-9)
    last = max(first, math.floor(limit - (high + 1) * scale + 1e-9))
    if low == 0:
        return first, first
    return (last, last) if high == side - 1 else (first, last)


def _unlikeness(donor: Shot, background: Shot, places: list[Motion]) -> list[float]:
    """Mean difference between what surrounds the defect there and what would surround it here."""
    points, around, white = _surroundings(donor)
    ground = load_image(background)
    wanted = in_values_of(around[None], ground, white)[0]
    limit, scores = np.array(ground.shape[:2]) - 1, []
    for motion in places:
        here = np.clip(np.rint(motion.onto(points)).astype(int), 0, limit)
        values = ground[here[:, 0], here[:, 1]].astype(np.float64).reshape(len(here), -1)
        scores.append(float(np.abs(values - wanted).mean()) if len(points) else 0.0)
    return scores


@lru_cache(maxsize=1024)
def _surroundings(donor: Shot) -> tuple[Array, Array, int]:
    """Some points (n, 2) of the ring around a defect, the pixels there, and the full scale."""
    image, points = load_image(donor), np.argwhere(ring(load_mask(donor)))
    points = points[:: max(1, len(points) // _POINTS)]
    return points, image[points[:, 0], points[:, 1]], full_scale(image)


def _score(found: tuple[float, int, Motion]) -> float:
    return found[0]


def _shape(sample: Shot) -> tuple[int, int]:
    return sample.height, sample.width


def _same_size(donor: Shot, background: Shot) -> float:
    """Scale that makes the longer sides equal, as on the grid on which parts are laid over."""
    return max(_shape(background)) / max(_shape(donor))


@lru_cache(maxsize=2048)
def _part(sample: Shot) -> Array | None:
    return part_map(to_float(load_image(sample)))


@lru_cache(maxsize=65536)
def _over(donor: Shot, background: Shot) -> Alignment:
    source, target = _part(donor), _part(background)
    if source is None or target is None:
        raise ValueError("only parts are laid over one another")
    return lay_over(source, target)
