"""A real defect carried whole to another background: matched Crop-Paste, with surroundings or not.

Where a defect changes the outline of its part, its residual on another background would leave
ghosts of what was there before; carried with a strip of its surroundings it stays whole.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.appearance.placement import RING
from defectsynth_pipeline.imaging.motion import Motion, Patch, land
from defectsynth_pipeline.imaging.pixels import (
    as_pixels,
    feather,
    full_scale,
    in_values_of,
    ring,
    smooth_fill,
)
from defectsynth_pipeline.imaging.rectangle import Rectangle

Array = np.ndarray
COLLAR = 2.0  # px of feather outside the mask, where no surroundings are carried
GAIN = (0.5, 2.0)  # how far brightness is matched
SMOOTH = 8.0  # px, least width of the brightness that is matched
_DARKEST = 0.02  # of full scale
_MARGIN = RING[1] + 2
_STRIP = (6, 24, 0.15)  # px of surroundings, at least and at most, and as a share of the extent


def strip_of(mask: Array) -> int:
    """Px of surroundings that are carried with a defect of a mask (H, W), not empty."""
    low, high, share = _STRIP
    return int(np.clip(round(share * Rectangle.around(mask).extent), low, high))


def pasted(donor: Array, mask: Array, motion: Motion, background: Array, strip: int = 0) -> Array:
    """Paste a real defect, its brightness matched to the background's.

    Args:
        donor: (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, its defect, not empty.
        motion: Donor to background.
        background: Image whose size, channels and values the result takes.
        strip: Px of surroundings carried with it, fading out over the outer half.
    """
    carried = ndimage.binary_dilation(mask, iterations=strip // 2) if strip else mask
    patch = land(donor, carried, motion, background, _MARGIN + strip)
    window, image = patch.window.slices, background.copy()
    values = matched(patch, background, COLLAR if not strip else strip / 2)
    image[window] = as_pixels(values, image)
    return image


def matched(patch: Patch, background: Array, collar: float = COLLAR) -> Array:
    """Return a window's new values (h, w, C) float64, per channel:

    ground + w * (gain * donor - ground), with w the feathered mask and gain the smooth brightness
    of the background's ring over that of the donor's, within `GAIN`.
    """
    ground = in_values_of(background[patch.window.slices], background)
    around = ring(patch.inside, RING) & patch.known
    values = patch.values
    if around.any():
        values = values * _gain(values, ground, around, patch.inside, full_scale(background))
    weight = np.where(patch.known | patch.inside, feather(patch.inside, collar), 0.0)
    return np.asarray(ground + weight[..., None] * (values - ground))


def _gain(donor: Array, ground: Array, around: Array, inside: Array, white: float) -> Array:
    """Return (h, w, C), the background's brightness over the donor's, from the ring inwards."""
    weight = around.astype(np.float64)
    sigma = max(SMOOTH, 2 + float(ndimage.distance_transform_edt(inside).max()))
    there, here = (smooth_fill(values, weight, sigma) for values in (ground, donor))
    least = _DARKEST * white
    return np.asarray(np.clip(np.maximum(there, least) / np.maximum(here, least), *GAIN))
