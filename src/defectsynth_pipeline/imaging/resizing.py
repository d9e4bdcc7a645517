"""Windows cut out of images of any size and dtype, and images brought to another size."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from defectsynth_pipeline.imaging.rectangle import Rectangle

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
    """A mask (H, W) bool at another size (h, w); a stroke that would vanish keeps its pixels."""
    return mask if mask.shape == tuple(size) else solid(resize(mask, size))


def solid(cover: Array) -> Array:
    """The mask of a coverage in [0, 1]; what is too thin to fill half a pixel anywhere is kept."""
    mask = cover >= 0.5
    return np.asarray(mask if mask.any() else cover > 0)


def _reflected(start: int, stop: int, length: int) -> Array:
    """Indices start .. stop - 1, folded back into [0, length) at both ends."""
    folded = np.abs(np.arange(start, stop)) % max(2 * (length - 1), 1)
    return np.minimum(folded, np.abs(2 * (length - 1) - folded))
