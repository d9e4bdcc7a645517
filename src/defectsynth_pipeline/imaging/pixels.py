"""Pixels: their values in one scale, cropped and resized, and what surrounds a mask."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from defectsynth_pipeline.imaging.rectangle import Rectangle

_ALIKE = 0.03  # of the logarithm of height over width: sizes are whole pixels


def full_scale(image: np.ndarray) -> int:
    """White of an image: 255, 65535, or 2**bits - 1 where a uint16 image uses fewer bits."""
    if image.dtype == np.uint8:
        return 255
    highest = int(image.max(initial=0))
    return 65535 if highest >= 65535 // 4 else max((1 << highest.bit_length()) - 1, 255)


def to_float(image: np.ndarray) -> np.ndarray:
    """An image as RGB in [0, 1]; grey is repeated.

    A uint16 image is divided by 65535, or, if its brightest pixel is below a quarter of that, by
    the next 2**bits - 1 above it: 10- and 12-bit cameras write dark 16-bit files.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3).

    Returns:
        float32 (H, W, 3).
    """
    values = image.astype(np.float32) / full_scale(image)
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    return values


def from_float(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Inverse of `to_float`, in the format of another image.

    Args:
        values: float (H, W, 3); clipped to [0, 1].
        like: Image whose dtype, channels and full scale are taken.

    Returns:
        uint8 or uint16, (H, W) or (H, W, 3) like `like`; grey is the mean of the channels.
    """
    if like.ndim == 2:
        values = values.mean(axis=2)
    return np.rint(np.clip(values, 0, 1) * full_scale(like)).astype(like.dtype)


def as_planes(values: np.ndarray, channels: int | None = None) -> np.ndarray:
    """(H, W) or (H, W, C) as float64 (H, W, channels); grey is the mean, None keeps C."""
    planes = np.asarray(values, dtype=np.float64)
    planes = planes[..., None] if planes.ndim == 2 else planes
    if channels in (None, planes.shape[2]):
        return planes
    return np.repeat(planes.mean(-1, keepdims=True), channels, axis=2)


def as_pixels(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Native values (h, w) or (h, w, C), rounded and clipped, as another image has its pixels."""
    pixels = np.clip(np.rint(values), 0, np.iinfo(like.dtype).max).astype(like.dtype)
    return pixels[..., 0] if like.ndim < pixels.ndim else pixels


def in_values_of(part: np.ndarray, like: np.ndarray, white: int | None = None) -> np.ndarray:
    """An image as float64 (h, w, C) in another's native values and channels.

    Equal dtypes are taken as they are: two files of one camera share their scale, whichever of
    them happens to be brighter.

    Args:
        part: (h, w) or (h, w, 3).
        like: Image whose dtype and channels count.
        white: Full scale of the image `part` is cut from, if not the part's own.
    """
    values = part.astype(np.float64)
    if part.dtype != like.dtype:
        values *= full_scale(like) / (white or full_scale(part))
    return as_planes(values, 1 if like.ndim == 2 else like.shape[2])


Array = np.ndarray


def crop(image: Array, window: Rectangle, resolution: int | None = None) -> Array:
    """The window's content, reflected where it leaves the image; the border is not repeated.

    Args:
        image: (H, W) or (H, W, C) of any dtype.
        window: What to cut.
        resolution: Side of the square to resize to; None keeps native pixels and dtype.

    Returns:
        Native dtype at native size, or float32 (resolution, resolution[, C]) in the values of the
        input. A bool mask becomes its area coverage in [0, 1], so thin strokes do not vanish.
    """
    rows = _reflected(window.top, window.bottom, image.shape[0])
    columns = _reflected(window.left, window.right, image.shape[1])
    native: Array = image[rows[:, None], columns]
    return native if resolution is None else resize(native, (resolution, resolution))


def resize(values: Array, size: tuple[int, int]) -> Array:
    """Resize (H, W[, C]) to `size` (h, w): area coverage for masks, else antialiased bilinear.

    The same function brings a model's output back to the frame's native size.

    Returns:
        float32 in the values of the input.
    """
    if values.shape[:2] == tuple(size):
        return values.astype(np.float32)
    planes = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    batch = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))[None]
    if values.dtype == np.bool_:
        out = F.interpolate(batch, size=size, mode="area")[0].numpy()
    else:
        out = F.interpolate(batch, size=size, mode="bilinear", antialias=True)[0].numpy()
    return out[0] if values.ndim == 2 else np.ascontiguousarray(np.moveaxis(out, 0, -1))


def fit_mask(mask: Array, size: tuple[int, int]) -> Array:
    """A mask (H, W) bool at another size (h, w), see `counterparts`.

    A stroke that would vanish keeps its pixels.
    """
    if mask.shape == tuple(size):
        return mask
    own, place = counterparts(mask, size)
    fitted = np.zeros(size, bool)
    fitted[place.slices] = solid(resize(mask[own.slices], (place.height, place.width)))
    return fitted


def counterparts(mask: Array, size: tuple[int, int]) -> tuple[Rectangle, Rectangle]:
    """A part of a mask (H, W), not empty, and where it belongs in an image of a size (h, w).

    The whole, where the two are alike in proportion. Else the defect, which takes as large a share
    of the other image, keeps its own proportions, lies as far across and down, and is cut by the
    frame where it was; what spans its image spans the other.
    """
    (height, width), whole = mask.shape, Rectangle(0, 0, *mask.shape)
    if abs(np.log(height * size[1] / width / size[0])) < _ALIKE:
        return whole, Rectangle(0, 0, *size)
    own = Rectangle.around(mask)
    spans = [(own.top, own.bottom, height, size[0]), (own.left, own.right, width, size[1])]
    free = [span for span in spans if span[1] - span[0] < span[2]]
    scale = (size[0] * size[1] / height / width) ** 0.5
    scale = min([scale, *(new / (high - low) for low, high, _, new in free)])
    (top, bottom), (left, right) = (_counterpart(*span, scale) for span in spans)
    return own, Rectangle(top, left, bottom, right)


def _counterpart(low: int, high: int, side: int, new: int, scale: float) -> tuple[int, int]:
    """Where [low, high) of `side` pixels goes among `new`."""
    if high - low == side:
        return 0, new
    length = min(max(round((high - low) * scale), 1), new)
    start = round((low + high) / 2 / side * new - length / 2)
    start = 0 if low == 0 else new - length if high == side else min(max(start, 0), new - length)
    return start, start + length


def solid(cover: Array) -> Array:
    """The mask of a coverage in [0, 1]; what is too thin to fill half a pixel anywhere is kept."""
    mask = cover >= 0.5
    return np.asarray(mask if mask.any() else cover > 0)


def _reflected(start: int, stop: int, length: int) -> Array:
    """Indices start .. stop - 1, folded back into [0, length) at both ends."""
    folded = np.abs(np.arange(start, stop)) % max(2 * (length - 1), 1)
    return np.minimum(folded, np.abs(2 * (length - 1) - folded))


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
