"""Pictures for the eye: display scaling, mask outlines, contact sheets, real beside generated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from scipy import ndimage

from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.imagesets import ImageSet
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


def draw_real_and_synthetic(
    samples: pd.DataFrame, images: ImageSet, *, real: int = 2, synthetic: int = 6
) -> Figure:
    """Crops around the defects, per type: real base samples, then synthetic images.

    Every crop is shown twice, as it is and below it with its mask outlined. A type of which nothing
    was accepted has its real ones alone.
    """
    sheets = []
    every = pd.concat([images.manifest, images.rejected])
    accepted = set(images.manifest["image_id"])
    for label, originals, names in _types(samples, every, real, len(every)):
        made = _spread(pd.Series([n for n in names if n in accepted], dtype=str), synthetic)
        pairs = [(sample.image(), sample.mask()) for sample in originals]
        pairs += [(images.array(name, "image"), images.array(name, "mask")) for name in made]
        windows = [closeup(mask, least=64).slices for _, mask in pairs]
        crops = [(i[part], m[part]) for (i, m), part in zip(pairs, windows, strict=True)]
        tiles = [*(image for image, _ in crops), *(outlined(*crop) for crop in crops)]
        sheet = contact_sheet(tiles, columns=len(pairs))
        then = "then synthetic" if len(made) else "no synthetic image was accepted"
        sheets.append((f"{label}: {len(originals)} real, {then}", sheet))
    return _stacked(sheets)


def draw_real_and_generated_masks(
    samples: pd.DataFrame, masks: ImageSet, *, real: int = 3, generated: int = 9
) -> Figure:
    """Whole masks, per type: real base masks, then generated ones."""
    sheets = []
    for label, originals, made in _types(samples, masks.manifest, real, generated):
        tiles = [sample.mask() for sample in originals]
        tiles += [masks.array(name, "mask") for name in made]
        title = f"{label}: {len(originals)} real, then generated"
        sheets.append((title, contact_sheet(tiles, columns=len(tiles), side=96)))
    return _stacked(sheets)


def _types(
    samples: pd.DataFrame, manifest: pd.DataFrame, real: int, made: int
) -> Iterator[tuple[str, list[Sample], list[str]]]:
    """Label, a few base samples and a few image_id of every defect type in the manifest."""
    base = samples[samples["split"] == "base"]
    for key, items in manifest.groupby(["category", "defect_type"], sort=True):
        category, kind = cast("tuple[str, str]", key)
        originals = base[(base["category"] == category) & (base["defect_type"] == kind)]
        names = list(_spread(items, made)["image_id"])
        yield f"{category} / {kind}", list(each_sample(_spread(originals, real))), names


def _spread(rows: Rows, count: int) -> Rows:
    return rows.iloc[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


def _stacked(sheets: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """One titled strip per type, at the strips' own pixels."""
    width = max(sheet.shape[1] for _, sheet in sheets) / 100
    heights = [sheet.shape[0] / 100 + 0.3 for _, sheet in sheets]
    figure = Figure(figsize=(width, sum(heights)), dpi=100, layout="constrained")
    axes = figure.subplots(len(sheets), squeeze=False, height_ratios=heights)[:, 0]
    for ax, (title, sheet) in zip(axes, sheets, strict=True):
        ax.imshow(sheet)
        ax.set_title(title, fontsize=style.NORMAL, loc="left")
        ax.set_axis_off()
    return figure
