"""What pixel values mean: full scale, RGB in [0, 1] and back, one image's values in another's."""

from __future__ import annotations

import numpy as np


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
