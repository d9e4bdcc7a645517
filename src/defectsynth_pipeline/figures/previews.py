"""Pictures for the eye: display scaling, mask outlines, frames, contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from scipy import ndimage

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.imaging.rectangle import Rectangle

Rows = TypeVar("Rows", pd.DataFrame, pd.Series)


def to_display(array: np.ndarray) -> np.ndarray:
    """Any of our pictures as uint8 (H, W, 3); 16 bit is stretched from its min to its max."""
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())
        scaled = (array.astype(np.float64) - low) / max(high - low, 1.0)
        array = np.round(scaled * 255).astype(np.uint8)
    return array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)


def outlined(
    image: np.ndarray, mask: np.ndarray, colour: style.Colour = style.OUTLINE, width: int = 0
) -> np.ndarray:
    """The picture for display with a line drawn just outside the mask, uint8 (H, W, 3).

    Args:
        image: (H, W) or (H, W, 3), any of our pictures.
        mask: (H, W) bool.
        colour: Of the line.
        width: Of the line in pixels; 1/128 of the short side if 0.

    Examples:
        >>> import numpy as np
        >>> mask = np.zeros((32, 32), bool)
        >>> mask[8:16, 8:16] = True
        >>> outlined(np.zeros((32, 32), np.uint8), mask)[7, 8]
        array([255,  40,  40], dtype=uint8)
    """
    shown = to_display(image).copy()
    width = width or max(1, min(mask.shape) // 128)
    shown[ndimage.binary_dilation(mask, iterations=width) & ~mask] = colour
    return shown


def closeup(mask: np.ndarray, *, least: int) -> Rectangle:
    """A square around a mask (H, W) that is not empty, twice its size and at least `least` px."""
    box = Rectangle.around(mask)
    return box.square(max(2 * box.extent, least), mask.shape)


def boxed(image: np.ndarray, window: Rectangle, colour: style.Colour = style.BOX) -> np.ndarray:
    """The picture for display with a frame drawn inside the border of a window, uint8 (H, W, 3)."""
    shown = to_display(image).copy()
    width = max(1, max(shown.shape[:2]) // 120)
    inner = window.grown(-width)
    kept = shown[inner.slices].copy()
    shown[window.slices] = colour
    shown[inner.slices] = kept
    return shown


def looks(image: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """The whole with a frame where the defect is, the part in it, and that with its mask outlined.

    Args:
        image: (H, W) or (H, W, 3), any of our pictures.
        mask: (H, W) bool, not empty.
    """
    window = closeup(mask, least=64)
    part = window.slices
    return [boxed(image, window), image[part], outlined(image[part], mask[part])]


def contact_sheet(tiles: Sequence[np.ndarray], *, columns: int, side: int = 128) -> np.ndarray:
    """Tiles in rows on white, each scaled to fit a square, uint8 (rows*(side+4), ..., 3).

    Raises:
        InputError: No tile at all.

    Examples:
        >>> import numpy as np
        >>> contact_sheet([np.zeros((20, 30), np.uint8)] * 3, columns=2, side=32).shape
        (72, 72, 3)
    """
    if not tiles:
        raise InputError("there is no picture to show", remedy="make at least one image first")
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (side + 4), rows * (side + 4)), "white")
    for index, tile in enumerate(tiles):
        picture = ImageOps.contain(Image.fromarray(to_display(tile)), (side, side))
        row, column = divmod(index, columns)
        corner = ((side - picture.width) // 2 + 2, (side - picture.height) // 2 + 2)
        sheet.paste(picture, (column * (side + 4) + corner[0], row * (side + 4) + corner[1]))
    return np.asarray(sheet)


def spread(rows: Rows, count: int) -> Rows:
    """At most `count` rows, from the first to the last, evenly."""
    return rows.iloc[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


def stacked(sheets: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Titled strips under one another, each uint8 (h, w, 3) and shown at its own pixels."""
    width = max(sheet.shape[1] for _, sheet in sheets) / 100
    heights = [sheet.shape[0] / 100 + 0.3 for _, sheet in sheets]
    figure = Figure(figsize=(width, sum(heights)), dpi=100, layout="constrained")
    axes = figure.subplots(len(sheets), squeeze=False, height_ratios=heights)[:, 0]
    for ax, (title, sheet) in zip(axes, sheets, strict=True):
        ax.imshow(sheet)
        ax.set_title(title, fontsize=style.NORMAL, loc="left")
        ax.set_axis_off()
    return figure
