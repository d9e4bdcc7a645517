"""Pictures for the eye: display scaling, mask outlines, contact sheets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

from defectsynth_pipeline.errors import InputError

_OUTLINE = (255, 40, 40)


def to_display(array: np.ndarray) -> np.ndarray:
    """Any of our pictures as uint8 (H, W, 3); 16 bit is stretched from its min to its max."""
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())
        scaled = (array.astype(np.float64) - low) / max(high - low, 1.0)
        array = np.round(scaled * 255).astype(np.uint8)
    return array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture for display with a line drawn just outside the mask, uint8 (H, W, 3)."""
    shown = to_display(image).copy()
    width = max(1, min(mask.shape) // 128)
    shown[ndimage.binary_dilation(mask, iterations=width) & ~mask] = _OUTLINE
    return shown


def contact_sheet(tiles: Sequence[np.ndarray], *, columns: int, side: int = 128) -> np.ndarray:
    """Tiles in rows on white, each fitted into a square, uint8 (rows*(side+4), ..., 3).

    Raises:
        InputError: No tile at all.
    """
    if not tiles:
        raise InputError("there is no picture to show", remedy="make at least one image first")
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (side + 4), rows * (side + 4)), "white")
    for index, tile in enumerate(tiles):
        picture = Image.fromarray(to_display(tile))
        picture.thumbnail((side, side))
        row, column = divmod(index, columns)
        corner = ((side - picture.width) // 2 + 2, (side - picture.height) // 2 + 2)
        sheet.paste(picture, (column * (side + 4) + corner[0], row * (side + 4) + corner[1]))
    return np.asarray(sheet)
