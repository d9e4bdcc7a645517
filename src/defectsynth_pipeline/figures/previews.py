"""Pictures for the eye: display scaling, mask outlines, contact sheets, real beside generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from scipy import ndimage

from defectsynth_pipeline.corpora.reading import load_image, load_mask
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import ImageSet

Tile: TypeAlias = np.ndarray
T = TypeVar("T")

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
    """Tiles in rows on white, each scaled to fit a square, uint8 (rows*(side+4), ..., 3).

    Raises:
        InputError: No tile at all.
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

    Every crop is shown twice, as it is and below it with its mask outlined.
    """

    def of_sample(row: Any) -> tuple[Tile, Tile]:
        return _crops(load_image(row), load_mask(row))

    def of_item(row: Any) -> tuple[Tile, Tile]:
        image_id = row.image_id
        return _crops(images.array(image_id, "image"), images.array(image_id, "mask"))

    sheets = []
    for label, originals, made in _types(samples, images.manifest, real, synthetic):
        pairs = [*_each(originals, of_sample), *_each(made, of_item)]
        plain, marked = zip(*pairs, strict=True)
        sheet = contact_sheet([*plain, *marked], columns=len(pairs))
        sheets.append((f"{label}: {len(originals)} real, then synthetic", sheet))
    return _stacked(sheets)


def draw_real_and_generated_masks(
    samples: pd.DataFrame, masks: ImageSet, *, real: int = 3, generated: int = 9
) -> Figure:
    """Whole masks, per type: real base masks, then generated ones."""
    sheets = []
    for label, originals, made in _types(samples, masks.manifest, real, generated):
        tiles = [
            *_each(originals, load_mask),
            *_each(made, lambda row: masks.array(row.image_id, "mask")),
        ]
        title = f"{label}: {len(originals)} real, then generated"
        sheets.append((title, contact_sheet(tiles, columns=len(tiles), side=96)))
    return _stacked(sheets)


def _types(
    samples: pd.DataFrame, manifest: pd.DataFrame, real: int, made: int
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Label, a few base samples and a few items of every defect type in the manifest."""
    base = samples[samples["split"] == "base"]
    for key, items in manifest.groupby(["category", "defect_type"], sort=True):
        name = cast("tuple[str, str]", key)
        originals = base[(base["category"] == name[0]) & (base["defect_type"] == name[1])]
        yield f"{name[0]} / {name[1]}", _spread(originals, real), _spread(items, made)


def _spread(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    return rows.iloc[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


def _each(rows: pd.DataFrame, function: Callable[[Any], T]) -> list[T]:
    return [function(row) for row in rows.itertuples()]


def _crops(image: np.ndarray, mask: np.ndarray) -> tuple[Tile, Tile]:
    """A square around the mask, twice its size and at least 64 px, plain and outlined."""
    rows, columns = np.nonzero(mask)
    reach = max(np.ptp(rows), np.ptp(columns)) + 1
    side = int(min(max(2 * reach, 64), *mask.shape))
    window = tuple(
        slice(start, start + side)
        for start in (
            int(np.clip((where.min() + where.max() - side) // 2, 0, size - side))
            for where, size in zip((rows, columns), mask.shape, strict=True)
        )
    )
    crop, part = image[window], mask[window]
    return to_display(crop), outlined(crop, part)


def _stacked(sheets: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """One titled strip per type, at the strips' own pixels."""
    width = max(sheet.shape[1] for _, sheet in sheets) / 100
    heights = [sheet.shape[0] / 100 + 0.3 for _, sheet in sheets]
    figure = Figure(figsize=(width, sum(heights)), dpi=100, layout="constrained")
    axes = figure.subplots(len(sheets), squeeze=False, height_ratios=heights)[:, 0]
    for ax, (title, sheet) in zip(axes, sheets, strict=True):
        ax.imshow(sheet)
        ax.set_title(title, fontsize=9, loc="left")
        ax.set_axis_off()
    return figure
