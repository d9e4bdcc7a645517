"""What surrounds a mask: rings, feathers, and a smooth continuation over what is masked."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

Array = np.ndarray


def ring(mask: Array, spread: tuple[int, int]) -> Array:
    """The ring (H, W) bool around a mask, `spread` pixels from it, the nearer end excluded."""
    distance = ndimage.distance_transform_edt(~mask)
    return np.asarray((distance > spread[0]) & (distance <= spread[1]))


def feather(mask: Array, collar: float) -> Array:
    """(H, W) weights: 1 in the mask, falling with the square of the distance to 0 past `collar`."""
    if not mask.any():
        return np.zeros(mask.shape)
    distance = ndimage.distance_transform_edt(~mask)
    weight = np.clip(1 - distance / (collar + 1), 0, 1) ** 2
    return np.where(distance <= collar, weight, 0.0)


def smooth_fill(values: Array, weight: Array, sigma: float) -> Array:
    """Values (H, W, C) known where `weight` (H, W) is 1, spread smoothly over the whole grid.

    Far from anything known it is the known values' mean.
    """
    mean = (values * weight[..., None]).sum((0, 1)) / weight.sum()
    spread = ndimage.gaussian_filter((values - mean) * weight[..., None], (sigma, sigma, 0))
    mass = ndimage.gaussian_filter(weight, sigma)[..., None]
    filled: Array = mean + spread / (mass + 1e-3)
    return filled


def continued(image: Array, mask: Array) -> Array:
    """The image (H, W, C) as its surroundings would go on under the mask (H, W), smooth everywhere.

    A mask that leaves nothing further than 2 px from it gives the image itself.
    """
    outside = (ndimage.distance_transform_edt(~mask) > 2).astype(np.float64)
    depth = float(ndimage.distance_transform_edt(mask).max()) if mask.any() else 0.0
    return smooth_fill(image, outside, 2.0 + depth) if outside.any() else image
