"""Images that are no defect of their type, though a mask says so: what a certificate must refuse.

Each is made of a real base defect and of good images of its category, on which the mask lies where
a defect may: on the same place of the part, or anywhere on a texture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.appearance.framing import roi_frame
from defectsynth_pipeline.appearance.placement import place_defect
from defectsynth_pipeline.certificate.evidence import LEAST, Seen, window_of
from defectsynth_pipeline.corpora.inpainting import remove_defect
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.imaging.motion import landed_mask
from defectsynth_pipeline.imaging.pixels import crop, feather, to_float
from defectsynth_pipeline.imaging.rectangle import Rectangle

RoundTrip: TypeAlias = Callable[[np.ndarray], np.ndarray]  # (h, w, 3) in [0, 1] through a VAE
REAL = "real"  # no null
OTHER = "other_type"  # a real defect under another type's name: needs no image of its own
KINDS = {
    "untouched": "nothing is there",
    "inpainted": "what is there continues the surroundings",
    "round_trip": "only the autoencoder's blur is there",
    "grain": "only grain is there",
    "seam": "only a seam is there",
    "moved": "the mask lies beside the defect",
    "erased": "it is a defect taken out, of which traces are left",
    "torn": "it is a defect torn to pieces",
    "recoloured": "it is a defect in the wrong colour",
}
# Real defects spoilt: they teach what not to accept, and a real one may be mistaken for them.
SPOILT = frozenset({"torn", "recoloured"})
_COLLAR = 2.0  # px, as in composition
_WIDE = 3.0  # surroundings of a mask that texture is copied from, as a multiple of its extent
_FAINTEST = 0.03  # of white, least contrast of a seam
_TRIES = 60
_GOOD = 3  # untouched places per round: they are cheap, and good parts vary most
_WIDER = 2  # px by which the hole grows from one erased defect to the next
_SMALLEST_TILE = 3  # px
_OTHER_COLOUR = 0.02  # of white, mean difference of a pixel's worst channel
_WANDER = 2.0  # how far a mask may move, as a multiple of its extent


class Null(NamedTuple):
    """An image without a defect of its type in its mask.

    Attributes:
        kind: One of `KINDS`.
        seen: The window around its mask.
    """

    kind: str
    seen: Seen


class TakenOut(NamedTuple):
    """Where a real defect was taken out of its image.

    Attributes:
        part: The window around it, (h, w, 3) in [0, 1].
        inside: Its mask there, (h, w) bool.
        clean: The window without it; `part` itself where hardly anything is left to copy.
    """

    part: np.ndarray
    inside: np.ndarray
    clean: np.ndarray


def take_out(real: Sample) -> TakenOut:
    """Take a defect out of its image."""
    mask = real.mask()
    window = _wide(mask)
    part, inside = crop(to_float(real.image()), window), crop(mask, window)
    return TakenOut(part, inside, _inpainted(part, inside))


def nulls_of(
    real: Sample,
    taken: TakenOut,
    normals: Sequence[Sample],
    rng: np.random.Generator,
    *,
    rounds: int,
    round_trip: RoundTrip | None = None,
) -> Iterator[Null]:
    """Yield nulls of the type and the size of a real base defect.

    Args:
        real: A base sample with a defect.
        taken: It, taken out.
        normals: Good images of its category.
        rng: Source of all draws.
        rounds: How often each kind is made; untouched ones `_GOOD` times as often.
        round_trip: What an autoencoder makes of a picture; without it that kind is left out.
    """
    own, mask, (part, inside, clean) = to_float(real.image()), real.mask(), taken
    energy = np.sqrt(((part - clean)[inside] ** 2).mean(0))
    for number in range(rounds):
        # A defect that could not be taken out is still there, and must not be taught as none.
        hole = ndimage.distance_transform_edt(~inside) <= _WIDER * number
        erased = _inpainted(part, hole) if number else clean
        if erased is not part:
            yield Null("erased", seen_in(erased, inside))
        if clean is not part:
            yield Null("torn", seen_in(clean + _torn(part - clean, inside, rng), inside))
            other = _recoloured(part - clean, inside, rng)
            if other is not None:
                yield Null("recoloured", seen_in(clean + other, inside))
        moved = _moved(mask, rng)
        if moved is not None:
            there = _wide(moved)
            yield Null("moved", seen_in(crop(own, there), crop(moved, there)))
        for turn in range(_GOOD):
            chosen, motion = place_defect(real, normals, rng)
            landed = landed_mask(mask, motion, normals[chosen].shape)
            if not landed.any():
                continue
            there = _wide(landed)
            good = crop(to_float(normals[chosen].image()), there), crop(landed, there)
            yield Null("untouched", seen_in(*good))
            if turn == 0:
                yield from _on_good(*good, energy, rng, round_trip)


def _on_good(
    good: np.ndarray,
    inside: np.ndarray,
    energy: np.ndarray,
    rng: np.random.Generator,
    round_trip: RoundTrip | None,
) -> Iterator[Null]:
    """Nulls of a good picture (h, w, 3) and a mask (h, w); `energy` (3,) is the real defect's."""
    weight = feather(inside, _COLLAR)[..., None]
    within = {
        "inpainted": _inpainted(good, inside),
        "grain": good + rng.normal(size=good.shape) * energy,
    }
    if round_trip is not None:
        within["round_trip"] = round_trip(good)
    for kind, other in within.items():
        yield Null(kind, seen_in(good + weight * (other - good), inside))
    edge = ndimage.binary_dilation(inside, iterations=2) & ~inside
    line = ndimage.gaussian_filter(edge.astype(np.float32), 0.7)[..., None]
    height = rng.choice([-1.5, 1.5]) * np.maximum(energy, _FAINTEST)
    yield Null("seam", seen_in(good + line * height, inside))


def _wide(mask: np.ndarray) -> Rectangle:
    return roi_frame(mask, _WIDE, LEAST + LEAST // 2)


def seen_in(part: np.ndarray, inside: np.ndarray) -> Seen:
    """The window around a mask (h, w) in a picture (h, w, 3) in [0, 1]."""
    window = window_of(inside)
    return Seen(crop(part, window).clip(0, 1).astype(np.float32), crop(inside, window))


def _inpainted(part: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A picture (h, w, 3) in [0, 1] with the texture of its surroundings in a mask."""
    if inside.mean() > 0.5:  # there is hardly anything to copy
        return part
    return remove_defect(np.rint(part * 255).astype(np.uint8), inside).astype(np.float32) / 255


def _torn(residual: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A residual (h, w, 3) whose tiles show other places of the mask."""
    tile = max(_SMALLEST_TILE, int(ndimage.distance_transform_edt(inside).max()))
    rows, columns = np.nonzero(inside)
    tiles = np.stack([rows // tile, columns // tile])
    _, numbers = np.unique(tiles, axis=1, return_inverse=True)
    numbers = numbers.ravel()
    box = np.array([np.ptp(rows) + 1, np.ptp(columns) + 1])
    shift = np.rint(rng.uniform(-0.5, 0.5, (numbers.max() + 1, 2)) * box).astype(int)[numbers]
    limit = np.array(inside.shape) - 1
    there = np.clip(np.stack([rows, columns], 1) + shift, 0, limit)
    nearest = ndimage.distance_transform_edt(~inside, return_indices=True)[1]
    found = nearest[:, there[:, 0], there[:, 1]]
    torn = residual.copy()
    torn[rows, columns] = residual[found[0], found[1]]
    return torn


def _recoloured(
    residual: np.ndarray, inside: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """A residual (h, w, 3) with its channels exchanged; None where they hardly differ."""
    order = [(1, 2, 0), (2, 0, 1), (2, 1, 0), (1, 0, 2)][rng.integers(4)]
    other = residual[..., order]
    differs = np.abs(other - residual)[inside].max(-1).mean()
    return other if differs > _OTHER_COLOUR else None


def _moved(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """The mask beside itself, still in the image; None where there is no room."""
    box, near = Rectangle.around(mask), ndimage.binary_dilation(mask, iterations=2)
    reach = [int(_WANDER * size) + 8 for size in (box.height, box.width)]
    for _ in range(_TRIES):
        down, right = (int(rng.integers(-most, most + 1)) for most in reach)
        target = Rectangle.at(box.left + right, box.top + down, box.width, box.height)
        if not target.meets(Rectangle(0, 0, *mask.shape)):
            continue
        here, there = target.shared(mask.shape)
        kept = mask[box.slices][there]
        if kept.sum() >= 0.8 * mask.sum() and not (kept & near[here]).any():
            moved = np.zeros_like(mask)
            moved[here] = kept
            return moved
    return None
