"""A real defect carried whole to another background: matched Crop-Paste, with surroundings or not.

Where a defect changes the outline of its part, its residual on another background would leave
ghosts of what was there before; carried with a strip of its surroundings it stays whole.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.appearance.placement import RING
from defectsynth_pipeline.imaging.motion import Motion, land
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


def pasted(
    donor: Array,
    mask: Array,
    motion: Motion,
    background: Array,
    *,
    strip: int = 0,
    collar: float = COLLAR,
    membrane: bool = False,
) -> Array:
    """Paste a real defect, per channel: ground + w * (gain * donor - ground).

    The gain is the smooth brightness of the background's ring over that of the donor's, within
    `GAIN`; w is 1 in the mask and falls to 0 across the collar. With a membrane what the two rings
    differ by is spread smoothly under the defect and added instead, as in seamless cloning
    (Perez et al., "Poisson Image Editing", 2003).

    Args:
        donor: (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, its defect, not empty.
        motion: Donor to background.
        background: Image whose size, channels and values the result takes.
        strip: Px of surroundings carried with it, fading out over the outer half; then there is no
            collar.
        collar: Px around the mask that may change where no surroundings are carried.
        membrane: Add to the donor what it lacks, instead of multiplying it.

    Examples:
        >>> import numpy as np
        >>> from defectsynth_pipeline.imaging.motion import Motion
        >>> real, mask = np.full((48, 48), 120, np.uint8), np.zeros((48, 48), bool)
        >>> mask[8:16, 8:16] = True
        >>> real[mask] = 30
        >>> image = pasted(real, mask, Motion(dy=20, dx=20), np.full((48, 48), 240, np.uint8))
        >>> int(image[32, 32]), int(image[12, 12])
        (60, 240)
    """
    patch = land(donor, mask, motion, background, _MARGIN + strip)
    whole = strip // 2  # and the rest fades, so that nothing differs past the strip
    carried = ndimage.distance_transform_edt(~patch.inside) <= whole
    ground = in_values_of(background[patch.window.slices], background)
    around, values = ring(carried, RING) & patch.known, patch.values
    if around.any():
        there, here = (_spread(image, around, carried) for image in (ground, values))
        if membrane:
            values = values + there - here
        else:
            least = _DARKEST * full_scale(background)
            gain = np.maximum(there, least) / np.maximum(here, least)
            values = values * np.clip(gain, *GAIN)
    weight = feather(carried, strip - whole if strip else collar)
    weight = np.where(patch.known | patch.inside, weight, 0.0)[..., None]
    image = background.copy()
    image[patch.window.slices] = as_pixels(ground + weight * (values - ground), image)
    return image


def _spread(image: Array, around: Array, inside: Array) -> Array:
    """An image (h, w, C) as its ring would go on inwards, smooth."""
    sigma = max(SMOOTH, 2 + float(ndimage.distance_transform_edt(inside).max()))
    return smooth_fill(image, around.astype(np.float64), sigma)
