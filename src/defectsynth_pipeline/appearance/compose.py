"""How a decoded crop becomes pixels of the user's image.

Outside the mask's collar the result is a copy of what was begun with, bit for bit: the background,
or a real defect's texture set on it (`transfer`). Inside, one of two ways (neither is in the paper,
whose decoded image replaces the background as a whole):

* "delta": begun + w * (decode(z_gen) - decode(z_begun)). Keeps the surface's real grain, which a
  small VAE cannot reproduce, because what the VAE loses cancels in the difference.
* "feather": the decoded crop itself, blended at the mask's border.

w is 1 in the mask and falls to 0 across the collar. The ring around the mask is matched first:
what the model changed there is drift, not defect, and is taken off smoothly.

A model that sees a crop smaller than it is dilutes thin strokes: a stroke that covers a third of a
model pixel shows there with a third of its contrast. With m the mask's coverage of model pixels,
the contrast c that explains the change as c * m is, in least squares, sum(change * m) / sum(m^2)
over a small neighbourhood, and change + (1 - m) * c gives the native mask the full c: thin strokes
regain their contrast, detail stays, and where m = 1 nothing is altered.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.pixels import (
    as_pixels,
    as_planes,
    continued,
    crop,
    feather,
    resize,
    smooth_fill,
)
from defectsynth_pipeline.imaging.rectangle import Rectangle

Array = np.ndarray
Mode = Literal["delta", "feather"]
MAX_GAIN = 3.0  # strongest undiluting of a thin stroke
_RATIO = (0.5, 2.0)  # how far local brightness may scale a change
_EPS = 1e-6
_REACH = 12  # px around a defect that are looked at for its contrast


def compose(
    background: Array,
    mask: Array,
    frame: Rectangle,
    generated: Array,
    decoded_background: Array,
    *,
    mode: Mode = "delta",
    collar: float = 2.0,
    relative: bool = True,
    undilute: bool = True,
    white: float | None = None,
) -> Array:
    """Put a generated defect on its background.

    Args:
        background: (H, W) or (H, W, 3), uint8 or uint16, native; or a start on it.
        mask: (H, W) bool.
        frame: The window that was shown to the model.
        generated: (r, r, 3) decoded result in [0, 1].
        decoded_background: (r, r, 3) in [0, 1], the same through the VAE. Not used by "feather".
        mode: See the module.
        collar: Native pixels around the mask that may change, fading out.
        relative: Scale what is added by the background's local brightness.
        undilute: "delta" only: give thin strokes the contrast they were meant to have.
        white: Native value of 1.0; the dtype's maximum unless told.

    Returns:
        The background's shape and dtype, equal to it outside the mask's collar.

    Raises:
        InputError: An unknown mode, or sizes that do not fit.

    Examples:
        >>> import numpy as np
        >>> from defectsynth_pipeline.imaging.rectangle import Rectangle
        >>> ground, mask = np.full((48, 48), 180, np.uint8), np.zeros((48, 48), bool)
        >>> mask[20:28, 16:32] = True
        >>> frame = Rectangle(8, 8, 40, 40)
        >>> shown = np.full((32, 32, 3), 180 / 255)
        >>> drawn = np.where(mask[8:40, 8:40, None], 0.2, shown)
        >>> image = compose(ground, mask, frame, drawn, shown)
        >>> bool(image[24, 24] < 140), bool((image == ground)[:16].all())
        (True, True)
    """
    _check(background, mask, mode)
    scale = float(white or np.iinfo(background.dtype).max)
    base = as_planes(crop(background, frame)) / scale
    inside, channels = crop(mask, frame), base.shape[2]
    weight = feather(inside, collar)[..., None]
    shown, reference = as_planes(generated, channels), as_planes(decoded_background, channels)
    if mode == "feather":
        seen = resize(base, generated.shape[:2])
        pasted = resize(shown - _drift(shown - seen, inside), base.shape[:2])
        result = base + weight * (pasted - base)
    else:
        result = base + weight * _change(shown, reference, base, inside, relative, undilute)
    return _write(background, frame, result * scale, weight[..., 0] > 0)


def contrast(image: np.ndarray, mask: np.ndarray) -> float:
    """Return how much the masked part differs from what surrounds it.

    Args:
        image: (H, W, 3) in [0, 1].
        mask: (H, W) bool, not empty.

    Returns:
        Mean absolute difference inside the mask to a smooth continuation of the surroundings,
        in [0, 1], of the channel where it is largest.
    """
    window = Rectangle.around(mask, _REACH).slices
    part, inside = image[window].astype(np.float64), mask[window]
    return float(np.abs(part - continued(part, inside))[inside].mean(0).max())


def _change(
    shown: Array, reference: Array, begin: Array, inside: Array, relative: bool, undilute: bool
) -> Array:
    """What the model changed, at native size: (height, width, channels)."""
    size = inside.shape
    delta = shown - reference
    delta = delta - _drift(delta, inside)
    change = _undiluted(delta, inside) if undilute else resize(delta, size)
    if relative:
        here = _local(resize(begin, shown.shape[:2]))
        there = _local(reference)
        ratio = np.clip((here + _EPS) / (there + _EPS), *_RATIO)
        change = change * resize(ratio, size)
    return change


def _undiluted(delta: Array, inside: Array) -> Array:
    """The change at native size, thin strokes with the contrast they were meant to have."""
    size, low = inside.shape, delta.shape[:2]
    if size[0] <= low[0] and size[1] <= low[1]:
        return resize(delta, size)
    cover = resize(inside, low).astype(np.float64)
    mass = ndimage.gaussian_filter(cover, 1.0) + _EPS
    energy = ndimage.gaussian_filter(cover**2, 1.0) + _EPS
    mean = ndimage.gaussian_filter(delta * cover[..., None], (1.0, 1.0, 0)) / mass[..., None]
    contrast = mean * np.minimum(mass / energy, MAX_GAIN)[..., None]
    # c * m of each model pixel is in `delta` already; the rest of c is what dilution took away.
    return resize(delta + contrast * (1 - cover[..., None]), size)


def _drift(delta: Array, inside: Array) -> Array:
    """The smooth part of a change that shows on the ring around the mask: (r, r, channels)."""
    cover = resize(inside, delta.shape[:2]) > 0
    reach = max(3, delta.shape[0] // 12)
    gap, ring = (ndimage.binary_dilation(cover, iterations=n) for n in (2, 2 + reach))
    weight = (ring & ~gap).astype(np.float64)
    if not weight.any():
        return np.zeros((1, 1, delta.shape[2]))
    return smooth_fill(delta, weight, float(reach))


def _local(values: Array) -> Array:
    """Brightness of the neighbourhood, (h, w, 1)."""
    sigma = max(1.0, values.shape[0] / 32)
    return np.asarray(ndimage.gaussian_filter(values.mean(-1), sigma))[..., None]


def _write(background: Array, frame: Rectangle, values: Array, near: Array) -> Array:
    """Copy the background and write the crop's `near` pixels into it."""
    here, there = frame.shared(background.shape)
    image, near = background.copy(), near[there]
    image[here][near] = as_pixels(values, background)[there][near]
    return image


def _check(background: Array, mask: Array, mode: str) -> None:
    if mode not in get_args(Mode):
        raise InputError("unknown composition", value=mode, remedy=f"use one of {get_args(Mode)}")
    if mask.shape != background.shape[:2]:
        raise InputError(
            "mask and background differ in size",
            value=f"{mask.shape} and {background.shape}",
            remedy="resize the mask to its background first",
        )
