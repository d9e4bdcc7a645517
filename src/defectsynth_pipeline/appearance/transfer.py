"""A real defect's texture set on another background, in the shape of another mask.

The start of "exemplar" composition: real grain that a small network cannot draw, to which the
network's change is then added. It is a transfer by itself too, without any network. Our own
addition; the paper has nothing like it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.appearance.transport import sources
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.pixels import as_planes, continued, feather, to_float
from defectsynth_pipeline.imaging.rectangle import Rectangle

Array = np.ndarray
_DARKEST = 0.02  # brightness below which relative changes are no longer scaled down
_AROUND = 3.0  # surroundings that are continued under a mask, as a multiple of its thickness
_MARGIN = 8  # px of them, at least


def transferred(
    background: Array,
    mask: Array,
    real: Array,
    real_mask: Array,
    *,
    degrees: float = 0.0,
    severity: float = 1.0,
    relative: bool = True,
    collar: float = 2.0,
) -> Array:
    """Compose a real defect's residual on a background.

    The residual is the real image minus its own surroundings, smoothly continued under the defect,
    so that the ring around the mask matches on both sides; `transport.sources` says which part of
    it each pixel shows.

    Args:
        background: (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, the new defect's shape.
        real: (H', W', 3) in [0, 1], an image with a real defect.
        real_mask: (H', W') bool, where it is.
        degrees: By how much the part under the mask is turned against the real one.
        severity: What the residual is multiplied by.
        relative: Carry the residual as a share of the local brightness.
        collar: As in `compose`.

    Returns:
        float32 (H, W, 3) in [0, 1], equal to the background outside the mask's collar.

    Raises:
        InputError: A mask is empty or not of its image's size.

    Examples:
        >>> import numpy as np
        >>> real, mask = np.full((48, 48, 3), 0.5), np.zeros((48, 48), bool)
        >>> mask[8:16, 8:16] = True
        >>> real[mask] = 0.25
        >>> longer = np.roll(mask, 16, axis=(0, 1)) | np.roll(mask, (16, 22), axis=(0, 1))
        >>> image = transferred(np.full((48, 48), 200, np.uint8), longer, real, mask)
        >>> bool(image[28, 28, 0] < 0.5 * image[4, 4, 0] + 0.02)
        True
    """
    if mask.shape != background.shape[:2] or real_mask.shape != real.shape[:2]:
        raise InputError(
            "a mask to transfer must be of its image's size",
            value=f"{mask.shape} on {background.shape}, {real_mask.shape} on {real.shape}",
            remedy="resize the mask to its image first",
        )
    if not (mask.any() and real_mask.any()):
        raise InputError(
            "a mask to transfer must not be empty",
            value=f"{int(real_mask.sum())} real pixels to {int(mask.sum())}",
            remedy="drop empty masks",
        )
    residual, own_inside = residual_of(real, real_mask, relative)
    inside = mask[around(mask).slices]
    wanted = np.argwhere(feather(inside, collar) > 0)
    places = sources(own_inside, inside, wanted, degrees).T
    change = np.zeros((*inside.shape, residual.shape[-1]))
    for channel, plane in enumerate(np.moveaxis(residual, -1, 0)):
        values = ndimage.map_coordinates(plane, places, order=3, mode="nearest")
        change[wanted[:, 0], wanted[:, 1], channel] = severity * values
    return added(background, mask, change, relative=relative, collar=collar)


def residual_of(real: Array, mask: Array, relative: bool) -> tuple[Array, Array]:
    """What a defect adds to its surroundings, smoothly continued under it.

    Args:
        real: (H, W, 3) in [0, 1].
        mask: (H, W) bool, not empty.
        relative: As a share of the local brightness.

    Returns:
        The residual (h, w, 3) and the mask (h, w) in a window around the defect.
    """
    window = around(mask)
    own, inside = as_planes(real[window.slices]), mask[window.slices]
    surface = continued(own, inside)
    return (own - surface) / (np.maximum(surface, _DARKEST) if relative else 1.0), inside


def added(
    background: Array,
    mask: Array,
    change: Array,
    *,
    relative: bool,
    collar: float,
) -> Array:
    """Set a residual on a background whose own surface is smoothly continued under a mask.

    Args:
        background: (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, not empty.
        change: (h, w, 3), as `residual_of` gives it, in the window `around(mask)`.
        relative: As in `residual_of`.
        collar: As in `compose`.

    Returns:
        float32 (H, W, 3) in [0, 1], equal to the background outside the mask's collar.
    """
    result, window = to_float(background), around(mask)
    base, inside = as_planes(result[window.slices]), mask[window.slices]
    surface, weight = continued(base, inside), feather(inside, collar)[..., None]
    scale = np.maximum(surface, _DARKEST) if relative else 1.0
    result[window.slices] = (base + weight * (surface + change * scale - base)).clip(0, 1)
    return result


def around(mask: Array) -> Rectangle:
    """Return the part of an image that a mask (H, W), not empty, and its surroundings lie in."""
    near = mask[Rectangle.around(mask, 1).slices]
    depth = float(ndimage.distance_transform_edt(near).max())
    return Rectangle.around(mask, round(_AROUND * depth) + _MARGIN)
