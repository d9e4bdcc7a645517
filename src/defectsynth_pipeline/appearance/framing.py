"""Which window of the user's image the model sees, and the way there and back.

`roi_frame` cuts a square at native resolution around the defect, so that a small defect in a
large photograph fills a fair share of the model's few pixels; `full_frame` is the paper's resize
of the whole image. Images are (H, W) or (H, W, C) arrays of any dtype.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from defectsynth_pipeline.errors import InputError

Array = np.ndarray
_MARGIN = 8  # native pixels of surroundings kept even where the mask outgrows the image


@dataclass(frozen=True)
class Frame:
    """A window in native pixels; it may reach beyond the image (negative origin included)."""

    x0: int
    y0: int
    width: int
    height: int

    def window(self, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part shared with an image of `shape`: its slices in the image and in the crop."""
        spans = [
            (start, max(0, start), min(limit, start + size))
            for start, size, limit in (
                (self.y0, self.height, shape[0]),
                (self.x0, self.width, shape[1]),
            )
        ]
        image = slice(spans[0][1], spans[0][2]), slice(spans[1][1], spans[1][2])
        y, x = (slice(low - start, high - start) for start, low, high in spans)
        return image, (y, x)


def full_frame(image_shape: tuple[int, ...]) -> Frame:
    """The whole image, to be squashed to the model's square (the paper's way)."""
    return Frame(0, 0, int(image_shape[1]), int(image_shape[0]))


def roi_frame(mask: Array, image_shape: tuple[int, ...], context: float, minimum: int) -> Frame:
    """A square around a mask, moved inside the image where it fits.

    The side is `context` times the mask's longer extent, at least `minimum`, at most the image's
    short side. Only where the mask itself is longer than that does the frame follow the mask
    beyond the image; `crop` fills what is missing by reflection.

    Args:
        mask: (H, W) bool, not empty.
        image_shape: Shape of the image the mask belongs to.
        context: Side as a multiple of the mask's longer extent, >= 1.
        minimum: Smallest side, native pixels; usually the model's resolution.

    Raises:
        InputError: The mask is empty or of another size than the image.
    """
    if mask.shape != tuple(image_shape[:2]) or not mask.any():
        raise InputError(
            "a frame needs a mask that is not empty and of the image's size",
            value=f"mask {mask.shape} with {int(mask.sum())} pixels, image {tuple(image_shape)}",
            remedy="drop empty masks and resize the mask to its background first",
        )
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    extent = int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1
    wanted = min(max(round(context * extent), minimum), *image_shape[:2])
    side = int(max(wanted, extent + 2 * _MARGIN))
    y0 = _place(int(rows[0] + rows[-1] + 1) / 2, side, image_shape[0])
    x0 = _place(int(columns[0] + columns[-1] + 1) / 2, side, image_shape[1])
    return Frame(x0, y0, side, side)


def _place(centre: float, side: int, limit: int) -> int:
    """Start of a window of `side` near `centre`; inside [0, limit) if it fits, else around it."""
    if side >= limit:
        return (limit - side) // 2
    return min(max(int(np.floor(centre - side / 2)), 0), limit - side)


def crop(image: Array, frame: Frame, resolution: int | None = None) -> Array:
    """The frame's content, reflected where the frame leaves the image.

    Args:
        image: (H, W) or (H, W, C) of any dtype.
        frame: Window to cut.
        resolution: Side of the square to resize to; None keeps native pixels and dtype.

    Returns:
        Native dtype at native size, or float32 (resolution, resolution[, C]) in the values of the
        input. A bool mask becomes its area coverage in [0, 1], so thin strokes do not vanish.
    """
    rows = _reflected(frame.y0, frame.height, image.shape[0])
    columns = _reflected(frame.x0, frame.width, image.shape[1])
    native: Array = image[rows[:, None], columns[None, :]]
    if resolution is None:
        return native
    return resize(native, (resolution, resolution))


def _reflected(start: int, size: int, limit: int) -> Array:
    """Indices start .. start + size, folded back into [0, limit) at both ends."""
    period = max(2 * (limit - 1), 1)
    folded = np.abs(np.arange(start, start + size)) % period
    return np.minimum(folded, period - folded) if limit > 1 else np.zeros(size, dtype=int)


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
