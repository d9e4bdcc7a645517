"""Where a defect goes on another image: on the same spot of its part, or anywhere on a texture.

A mask made on one photograph is off the part on another where the part lies differently. Part and
ground are told apart by the ground's colour at the image border, and the part in the defect's own
image is laid over the background's. Textures have no ground. Our own addition; the paper composes
whole images. Real defects that are pasted and generated ones are placed alike, so that neither
wins by its place; and both are shifted into the user's zones, see `within`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.appearance.alignment import align
from defectsynth_pipeline.appearance.within import into_zones
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.imaging.motion import Motion, landed_mask
from defectsynth_pipeline.imaging.pixels import full_scale, in_values_of, resize, ring, to_float
from defectsynth_pipeline.imaging.rectangle import Rectangle

Array = np.ndarray
Attempt: TypeAlias = Callable[[Sample, Motion], tuple[Motion, Array, float]]
GRID = 96  # pixels per side at which parts are laid over one another
COARSE = 72  # rotations over the whole circle
FINE = ((-5, -3, 3, 5), (-1, 1))  # degrees around the best rotation so far, in turn
TRIES = 8  # backgrounds tried before the best of them is taken
ON_PART = 0.98  # share of a placed mask that must lie on the part, relative to its own image
RING = (2, 6)  # px outside a mask that its surroundings are judged by
SURROUNDINGS = (2, 32)  # px outside a mask that tell where on its part a defect lies
LIKE = 0.9  # correlation of the surroundings at which no other background is tried
_UNLIKE = 0.01
# The light does not turn with a part: those that lie nearly alike are taken, if there are any.
_UPRIGHT, _TURNED = 0.85, 0.2  # cosines: no further search, and no worse than this
PLACES = 8  # on a texture: random places, of which the one with the likest surroundings is taken
_POINTS = 400
_FEW = 5


def part_map(image: Array) -> Array | None:
    """Return how unlike the ground each place is, in [0, 1], or None for a texture.

    Args:
        image: (H, W, 3) in [0, 1].

    Returns:
        (GRID, GRID), the image's longer side filling the grid and the rest 0, so that turning
        the grid turns the part.
    """
    scale = GRID / max(image.shape[:2])
    small = resize(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)))
    border = _border(small)
    ground = np.median(border, 0)
    spread = np.median(np.abs(border - ground).max(-1))
    distance = np.abs(small - ground).max(-1)
    part = ndimage.binary_opening(distance > max(4 * spread, 0.06))
    inner, outer = part[8:-8, 8:-8].mean(), _border(part).mean()
    if not 0.02 < part.mean() < 0.85 or outer > 0.25 or inner < 2 * outer:
        return None
    strength = max(float(np.quantile(distance[part], 0.9)), 1e-6)
    soft = np.clip(distance / strength, 0, 1) * ndimage.binary_dilation(part)
    return np.pad(soft, [(0, GRID - size) for size in soft.shape])


def _border(values: Array) -> Array:
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def lay_over(own: Array, background: Array) -> Motion:
    """Return the motion that brings one part onto another, both (GRID, GRID) from `part_map`."""
    coarse = align(own, background, angles=COARSE)
    best, best_overlap = coarse.motion, coarse.overlap
    for offsets in FINE:
        around = best.angle
        for offset in offsets:
            turned = replace(coarse.motion, angle=(around + offset) % 360)
            shift = align(turned.warp(own), background, angles=1)
            if shift.overlap > best_overlap:
                down, right = shift.motion.dy, shift.motion.dx
                best = replace(turned, dy=turned.dy + down, dx=turned.dx + right)
                best_overlap = shift.overlap
    return best


def share_on_part(mask: Array, part: Array) -> float:
    """Return the share of the mask (H, W) that lies on a part given by `part_map`."""
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return 0.0
    grid = (rows * GRID // max(mask.shape), columns * GRID // max(mask.shape))
    return float((ndimage.binary_dilation(part > 0.15))[grid].mean())


@lru_cache(maxsize=2048)
def part_of(sample: Sample) -> Array | None:
    """Return the `part_map` of a sample."""
    return part_map(to_float(sample.image()))


@lru_cache(maxsize=65536)
def _over(own: Sample, background: Sample) -> tuple[Motion, float] | None:
    """The motion of one sample's part onto another's, in pixels of the other, and its likeness.

    None if one of them has no part. Their longer sides are one, as on the grid.
    """
    source, target = part_of(own), part_of(background)
    if source is None or target is None:
        return None
    over = lay_over(source, target).scaled(max(background.shape) / GRID)
    return _settled(own, background, over)


def _settled(own: Sample, background: Sample, over: Motion) -> tuple[Motion, float]:
    """Shift a laid-over part until what surrounds the defect fits best; its correlation there.

    Silhouettes are laid over one another within a pixel of the grid, and may take one end of a
    part for the other: the surroundings tell.
    """
    points, around, _ = _points_around(own, SURROUNDINGS)
    ground = to_float(background.image()).mean(-1)
    places, limit = over.onto(points), np.array(ground.shape) - 1
    wanted = around.reshape(len(points), -1).mean(1)
    reach = 2 * max(background.shape) / GRID
    best, likeness = np.zeros(2), -1.0
    for span, step in ((reach, reach / 8), (reach / 8, 1.0)):
        lags = np.arange(-span, span + step / 2, step)
        shifts = best + np.stack(np.meshgrid(lags, lags, indexing="ij"), -1).reshape(-1, 2)
        pixels = np.clip(np.rint(places[None] + shifts[:, None]).astype(int), 0, limit)
        found = _correlation(ground[pixels[..., 0], pixels[..., 1]], wanted)
        best, likeness = shifts[found.argmax()], float(found.max())
    return replace(over, dy=over.dy + float(best[0]), dx=over.dx + float(best[1])), likeness


def _correlation(rows: Array, values: Array) -> Array:
    """Pearson's correlation of each row (M, n) with values (n,)."""
    centred, goal = rows - rows.mean(1, keepdims=True), values - values.mean()
    scale = np.sqrt((centred**2).sum(1) * (goal**2).sum())
    return np.asarray(centred @ goal / np.maximum(scale, 1e-9))


def choose_on_part(
    own: Sample, backgrounds: Sequence[Sample], order: Sequence[int], stay: Motion, attempt: Attempt
) -> tuple[int, Motion]:
    """Try backgrounds until a defect lies on the part as it does in its own image.

    Args:
        own: The real defect on its part.
        backgrounds: Defect-free samples of the category.
        order: Numbers of the backgrounds, in the order of trial.
        stay: The motion onto the first of them, should none of them do.
        attempt: Called with a background and the motion of the part onto its part; returns the
            defect's motion, its mask where it lands, and its area in pixels before it was cut off.

    Returns:
        The number of the best background and the motion onto it.
    """
    part, best = part_of(own), (0.0, order[0], stay)
    if part is None:
        return order[0], stay
    goal = ON_PART * share_on_part(own.mask(), part)
    for number in order:
        target, laid = part_of(backgrounds[number]), _over(own, backgrounds[number])
        if target is None or laid is None:
            continue
        over, likeness = laid
        motion, placed, area = attempt(backgrounds[number], over)
        share = min(1.0, placed.sum() / max(area, 1)) * share_on_part(placed, target)
        upright = math.cos(math.radians(over.angle))
        score = min(share, goal) * max(likeness, _UNLIKE) * max(upright, _TURNED)
        if score > best[0]:
            best = score, number, motion
        if share >= goal and likeness >= LIKE and upright >= _UPRIGHT:
            break
    return best[1:]


def mask_on_part(mask: Array, real_mask: Array, over: Motion) -> Motion:
    """Return the motion of a mask to where a real defect lies on the laid-over part.

    Args:
        mask: (H, W) bool, at the background's size.
        real_mask: (H, W) bool, the real defect it stems from, at the background's size.
        over: The motion of the real defect's part onto the background's.
    """
    goal = over.onto(np.array(ndimage.center_of_mass(real_mask))[None])[0]
    own = np.array(ndimage.center_of_mass(mask))
    return Motion(over.angle, *map(float, (*(goal - own), *own)))


def paste_on_part(mask: Array, background: Sample, over: Motion) -> tuple[Motion, Array, float]:
    """Return the motion of a real defect with the part it lies on: an attempt of `choose_on_part`.

    Args:
        mask: (H, W) bool, in the defect's own image.
        background: The sample it goes to.
        over: The motion of its part onto the background's.
    """
    scale = _same_size(mask.shape, background)
    centre = (np.array(ndimage.center_of_mass(mask)) + 0.5) * scale - 0.5
    shift = over.onto(centre[None])[0] - centre
    if over.angle == 0:
        shift = shift.round()  # whole pixels are copied, not resampled
    motion = Motion(over.angle, *map(float, (*shift, *centre, scale)))
    land = partial(landed_mask, mask, shape=background.shape)
    motion = into_zones(motion, background, land) or motion
    return motion, land(motion), mask.sum() * scale**2


def place_defect(
    donor: Sample, backgrounds: Sequence[Sample], rng: np.random.Generator
) -> tuple[int, Motion]:
    """Choose a background, and a place on it, for the defect of a donor.

    On a part: up to `TRIES` backgrounds until the defect lies on the part as much as it did on its
    own. On a texture: the first background of the draw that it fits as it is, or the one it fits
    best; a defect that runs out of its image keeps running out of the new one at that side, and one
    that spans it from side to side spans the new one. Where the defect fits into no zone, there are
    none.

    Args:
        donor: A defective sample.
        backgrounds: Defect-free samples of the category.
        rng: Source of all draws.

    Returns:
        The number of the background, and the motion of the donor onto it.
    """
    order, mask = tried(len(backgrounds), rng), donor.mask()
    if not lies_on_part(donor, backgrounds):
        number = min(order, key=lambda n: abs(math.log(_fitting(mask, backgrounds[n].shape))))
        motion = _anywhere(donor, backgrounds[number], rng)
        land = partial(landed_mask, mask, shape=backgrounds[number].shape)
        return number, into_zones(motion, backgrounds[number], land) or motion
    stay = Motion(scale=_same_size(mask.shape, backgrounds[order[0]]))
    return choose_on_part(
        donor, backgrounds, order, stay, lambda there, over: paste_on_part(mask, there, over)
    )


def tried(count: int, rng: np.random.Generator) -> list[int]:
    """Numbers of the backgrounds to try, of `count`: never all, or the best of them would be every
    image's."""
    most = min(TRIES, -(-count // 2))
    return [int(number) for number in rng.permutation(count)[:most]]


def lies_on_part(donor: Sample, backgrounds: Sequence[Sample]) -> bool:
    """Return whether `place_defect` lays parts over one another, not a defect on a texture."""
    return part_of(donor) is not None and show_parts(backgrounds)


def show_parts(normals: Sequence[Sample]) -> bool:
    """Return whether the first few of these samples show parts on a ground, not a texture.

    Asked of normals: on an even texture the defect itself looks like a part.
    """
    few = normals[:_FEW]
    return 2 * sum(part_of(sample) is not None for sample in few) > len(few)


def _same_size(shape: tuple[int, ...], background: Sample) -> float:
    """Scale that makes the longer sides equal, as on the grid on which parts are laid over."""
    return max(background.shape) / max(shape)


def _anywhere(donor: Sample, background: Sample, rng: np.random.Generator) -> Motion:
    """Return the best of some random places in the frame, by the surroundings of the defect."""
    mask = donor.mask()
    box, shape = Rectangle.around(mask), background.shape
    scale = _fitting(mask, shape)
    free = [
        _free(box.top, box.bottom, mask.shape[0], shape[0], scale),
        _free(box.left, box.right, mask.shape[1], shape[1], scale),
    ]
    shifts = [[float(rng.integers(low, high + 1)) for low, high in free] for _ in range(PLACES)]
    places = [Motion(dy=dy, dx=dx, scale=scale) for dy, dx in shifts]
    if all(low == high for low, high in free):
        return places[0]
    return places[int(np.argmin(_unlikeness(donor, background, places)))]


def _fitting(mask: Array, shape: tuple[int, ...]) -> float:
    """Scale of a defect (H, W) on an image of a shape (h, w): 1, or less if it is too large.

    A defect that runs out of its image at two sides runs out of the other one at both.
    """
    box = Rectangle.around(mask)
    spanned = [
        shape[axis] / mask.shape[axis]
        for axis, extent in enumerate((box.height, box.width))
        if extent == mask.shape[axis]
    ]
    return max(spanned) if spanned else min(1.0, shape[0] / box.height, shape[1] / box.width)


def _free(low: int, end: int, side: int, limit: int, scale: float) -> tuple[int, int]:
    """First and last whole-pixel shift that keeps a span [low, end) of `side` px in `limit` px."""
    first = math.ceil(-low * scale - 1e-9)
    last = max(first, math.floor(limit - end * scale + 1e-9))
    if low == 0:
        return first, first
    return (last, last) if end == side else (first, last)


def _unlikeness(donor: Sample, background: Sample, places: list[Motion]) -> list[float]:
    """Mean difference between what surrounds the defect there and what would surround it here."""
    points, around, white = _points_around(donor, RING)
    ground = background.image()
    wanted = in_values_of(around[None], ground, white)[0]
    limit, scores = np.array(ground.shape[:2]) - 1, []
    for motion in places:
        here = np.clip(np.rint(motion.onto(points)).astype(int), 0, limit)
        values = ground[here[:, 0], here[:, 1]].astype(np.float64).reshape(len(here), -1)
        scores.append(float(np.abs(values - wanted).mean()) if len(points) else 0.0)
    return scores


@lru_cache(maxsize=1024)
def _points_around(donor: Sample, spread: tuple[int, int]) -> tuple[Array, Array, int]:
    """Some points (n, 2) of a ring around a defect, the pixels there, and the full scale."""
    image, points = donor.image(), np.argwhere(ring(donor.mask(), spread))
    points = points[:: max(1, len(points) // _POINTS)]
    return points, image[points[:, 0], points[:, 1]], full_scale(image)
