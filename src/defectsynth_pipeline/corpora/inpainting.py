"""Take a defect out of an image by copying texture from elsewhere in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.imaging.pixels import as_pixels

_CANDIDATES = 160
_COMPARED = 48
_SEARCH_SEED = 7


def remove_defect(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image as it might have looked without the defect.

    The image is parted into brightness (a Gaussian mean over the pixels off the defect) and
    texture (the rest). Over the widened mask, brightness is carried on from its surroundings
    and texture is copied, tile by tile, from the shifted place of the same image that differs
    least from the tile's own intact pixels; tiles overlap and are blended with weights whose
    squares sum to 1, which keeps the contrast of the grain. It is the patch copy of exemplar
    inpainting (Criminisi et al. 2004) with a brightness-free match. Deterministic.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3).
        mask: bool (H, W), True on the defect.

    Returns:
        An array like `image`; pixels further than a few pixels from the mask are unchanged.
    """
    values = image.astype(np.float32).reshape(*mask.shape, -1)
    width = max(2, round(min(mask.shape) / 80))
    hole = ndimage.binary_dilation(mask, iterations=width)
    brightness = _brightness(values, hole, sigma=max(6.0, min(mask.shape) / 24))
    texture = _copy_texture(values - brightness, hole, tile=max(16, min(mask.shape) // 12))
    soft = ndimage.gaussian_filter(
        ndimage.binary_dilation(hole).astype(np.float32), 1.0, mode="nearest"
    )
    alpha = np.where(hole, 1.0, soft)[..., None]
    alpha[alpha < 0.02] = 0
    filled = values + alpha * (brightness + texture - values)
    return as_pixels(filled, image)


def _brightness(values: np.ndarray, hole: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean over the known pixels, (H, W, C); wider where they are scarce."""
    known = (~hole).astype(np.float32)[..., None]
    mean = np.broadcast_to(values[~hole].mean(axis=0) if known.any() else 0, values.shape)
    planes = np.moveaxis(np.concatenate([values * known, known], -1), -1, 0)
    for scale in (4 * sigma, 2 * sigma, sigma):
        down, right = (_smoothing(length, scale) for length in known.shape[:2])
        smooth = np.moveaxis(down @ planes @ right.T, 0, -1)
        local, weight = smooth[..., :-1], smooth[..., -1:]
        trust = np.clip(weight / 0.2, 0, 1)
        mean = trust * local / np.maximum(weight, 1e-6) + (1 - trust) * mean
    return mean.astype(np.float32)


@lru_cache(
    maxsize=8
)  # of a large photograph they are large: its three widths, both ways, and few more
def _smoothing(length: int, sigma: float) -> np.ndarray:
    """The Gaussian filter of a line as a matrix: its width is the line's own, so that is faster."""
    return ndimage.gaussian_filter1d(np.eye(length, dtype=np.float32), sigma, 0, mode="nearest")


@dataclass(frozen=True)
class _Source:
    """What patches are copied from: texture (H, W, C), and the hole they must stay off."""

    texture: np.ndarray
    hole: np.ndarray
    hole_share: np.ndarray
    size: int


def _copy_texture(texture: np.ndarray, hole: np.ndarray, tile: int) -> np.ndarray:
    """Texture for the hole, (H, W, C), zero elsewhere."""
    height, width = hole.shape
    rng = np.random.default_rng(_SEARCH_SEED)
    size = min(tile + tile // 2, height, width)
    window = np.hanning(size + 2)[1:-1]
    feather = np.outer(window, window).astype(np.float32)[..., None]
    total = np.zeros_like(texture)
    power = np.full((height, width, 1), 1e-8, np.float32)
    share = ndimage.uniform_filter(hole.astype(np.float32), size, mode="constant", cval=1.0)
    source = _Source(texture, hole, share, size)
    for top, left in _tiles(hole, tile, size):
        place = np.s_[top : top + size, left : left + size]
        total[place] += feather * _best_patch(source, top, left, rng)
        power[place] += feather**2
    # sqrt of the summed squares, not their sum: averaging two grains would flatten both.
    return np.where(hole[..., None] | (power > 1e-6), total / np.sqrt(power), 0)


def _tiles(hole: np.ndarray, tile: int, size: int) -> list[tuple[int, int]]:
    """Corners of overlapping tiles that meet the hole or its edge."""
    height, width = hole.shape
    step = max(tile * 3 // 4, 1)
    tops = sorted({min(top, height - size) for top in range(0, height, step)})
    lefts = sorted({min(left, width - size) for left in range(0, width, step)})
    return [
        (top, left)
        for top in tops
        for left in lefts
        if hole[top : top + size, left : left + size].any()
    ]


def _best_patch(source: _Source, top: int, left: int, rng: np.random.Generator) -> np.ndarray:
    """The patch (size, size, C) off the hole that agrees best with the tile's intact pixels."""
    size, height, width = source.size, *source.hole.shape
    tops = rng.integers(0, height - size + 1, _CANDIDATES)
    lefts = rng.integers(0, width - size + 1, _CANDIDATES)
    share = source.hole_share[tops + size // 2, lefts + size // 2]
    order = np.argsort(share, kind="stable")
    intact = max(int((share < 1e-4).sum()), 8)
    chosen = order[: min(intact, _COMPARED)]
    here = np.s_[top : top + size, left : left + size]
    rows, columns = ((corners[chosen, None] + np.arange(size)) for corners in (tops, lefts))
    there = (rows[:, :, None], columns[:, None, :])
    patches, off = source.texture[there], source.hole[there]
    usable = ~source.hole[here] & ~off
    errors = np.einsum("nhwc,nhw->n", (patches - source.texture[here]) ** 2, usable)
    best = int((errors / np.maximum(usable.sum((1, 2)), 1)).argmin())
    return np.where(off[best][..., None], 0, patches[best])
