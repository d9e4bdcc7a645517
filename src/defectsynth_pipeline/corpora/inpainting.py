"""Take a defect out of an image by copying texture from elsewhere in it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_CANDIDATES = 160
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
    limit = np.iinfo(image.dtype).max
    return np.rint(filled).clip(0, limit).astype(image.dtype).reshape(image.shape)


def _brightness(values: np.ndarray, hole: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean over the known pixels, (H, W, C); wider where they are scarce."""
    known = (~hole).astype(np.float32)[..., None]
    mean = np.broadcast_to(values[~hole].mean(axis=0) if known.any() else 0, values.shape)
    for scale in (4 * sigma, 2 * sigma, sigma):
        size = (scale, scale, 0)
        weight = ndimage.gaussian_filter(known, size, mode="nearest")
        local = ndimage.gaussian_filter(values * known, size, mode="nearest")
        trust = np.clip(weight / 0.2, 0, 1)
        mean = trust * local / np.maximum(weight, 1e-6) + (1 - trust) * mean
    return mean.astype(np.float32)


def _copy_texture(texture: np.ndarray, hole: np.ndarray, tile: int) -> np.ndarray:
    """Texture for the hole, (H, W, C), zero elsewhere."""
    height, width = hole.shape
    rng = np.random.default_rng(_SEARCH_SEED)
    size = min(tile + tile // 2, height, width)
    window = np.hanning(size + 2)[1:-1]
    feather = np.outer(window, window).astype(np.float32)[..., None]
    total = np.zeros_like(texture)
    power = np.full((height, width, 1), 1e-8, np.float32)
    counts = ndimage.uniform_filter(hole.astype(np.float32), size, mode="constant", cval=1.0)
    for top, left in _tiles(hole, tile, size):
        place = np.s_[top : top + size, left : left + size]
        patch = _best_patch(texture, hole, counts, (top, left), size, rng)
        total[place] += feather * patch
        power[place] += feather**2
    # sqrt of the summed squares, not their sum: averaging two grains would flatten both.
    return np.where(hole[..., None] | (power > 1e-6), total / np.sqrt(power), 0)


def _tiles(hole: np.ndarray, tile: int, size: int) -> list[tuple[int, int]]:
    """Corners of overlapping tiles, half a tile apart, that meet the hole or its edge."""
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


def _best_patch(
    texture: np.ndarray,
    hole: np.ndarray,
    hole_share: np.ndarray,
    corner: tuple[int, int],
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The intact patch (size, size, C) that agrees best with the tile's intact pixels."""
    height, width = hole.shape
    tops = rng.integers(0, height - size + 1, _CANDIDATES)
    lefts = rng.integers(0, width - size + 1, _CANDIDATES)
    share = hole_share[tops + size // 2, lefts + size // 2]
    intact = np.flatnonzero(share < 1e-4)
    if not len(intact):
        intact = np.argsort(share)[:8]
    top, left = corner
    target = texture[top : top + size, left : left + size]
    known = ~hole[top : top + size, left : left + size]
    best, lowest = np.zeros_like(target), np.inf
    for index in intact[:48]:
        row, column = tops[index], lefts[index]
        patch = texture[row : row + size, column : column + size]
        off = hole[row : row + size, column : column + size]
        difference = ((patch - target) ** 2).sum(axis=2)
        usable = known & ~off
        cost = difference[usable].mean() if usable.any() else 0.0
        if cost < lowest:
            best, lowest = np.where(off[..., None], 0, patch), cost
    return best
