"""Which window of the user's image the model sees.

`roi_frame` cuts a square at native resolution around the defect, so that a small defect in a
large photograph fills a fair share of the model's few pixels; mode `full` is the paper's resize
of the whole image.
"""

from __future__ import annotations

import numpy as np

from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.options import FramingOptions

Array = np.ndarray
_MARGIN = 8  # native pixels of surroundings kept even where the mask outgrows the image


def framing_sizes(base: BaseModel, framing: FramingOptions) -> tuple[int, int]:
    """Return the model's input side and the smallest native side of a crop, both in pixels."""
    resolution = framing.resolution or base.resolution
    return resolution, framing.minimum or resolution


def roi_frame(mask: Array, context: float, minimum: int) -> Rectangle:
    """A square around a mask, moved inside the image where it fits.

    The side is `context` times the mask's longer extent, at least `minimum`, at most the image's
    short side. Only where the mask itself is longer than that does the frame follow the mask
    beyond the image; `crop` fills what is missing by reflection.

    Args:
        mask: (H, W) bool, not empty, of the image's size.
        context: Side as a multiple of the mask's longer extent, >= 1.
        minimum: Smallest side, native pixels; usually the model's resolution.

    Raises:
        InputError: The mask is empty.
    """
    if not mask.any():
        raise InputError(
            "a frame needs a mask that is not empty",
            value=f"mask {mask.shape}",
            remedy="drop empty masks",
        )
    box = Rectangle.around(mask)
    wanted = min(max(round(context * box.extent), minimum), *mask.shape)
    side = int(max(wanted, box.extent + 2 * _MARGIN))
    top = _place(box.top + box.bottom, side, mask.shape[0])
    return Rectangle.at(_place(box.left + box.right, side, mask.shape[1]), top, side, side)


def frame_like(frame: Rectangle, mask: Array) -> Rectangle:
    """A window of the frame's size around another mask (H, W), so that scales agree.

    It is moved inside the image where it fits. Where it cannot hold the whole mask, it is laid
    around the mask's most central pixel: the middle of scattered parts may hold none of them.
    """
    points = np.argwhere(mask)
    centre = (points.min(0) + points.max(0) + 1) / 2
    if (np.ptp(points, axis=0) + 1 > (frame.height, frame.width)).any():
        centre = points[np.square(points + 0.5 - centre).sum(1).argmin()] + 0.5
    sides = (frame.height, frame.width)
    top, left = (
        _place(2 * round(float(c - side / 2)) + side, side, limit)
        for c, side, limit in zip(centre, sides, mask.shape, strict=True)
    )
    return Rectangle.at(left, top, frame.width, frame.height)


def _place(ends: int, side: int, limit: int) -> int:
    """Start of a window of `side` around the middle of two ends, given their sum.

    It is inside [0, limit) if it fits, else around it.
    """
    if side >= limit:
        return (limit - side) // 2
    return min(max((ends - side) // 2, 0), limit - side)
