"""A strip of pictures per defect type: what a table of samples or a set of images looks like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.figures.previews import (
    closeup,
    contact_sheet,
    outlined,
    spread,
    stacked,
    to_display,
)
from defectsynth_pipeline.imagesets import ImageSet

Strip = tuple[str, list[np.ndarray]]
_SAID = ("space", "verdict")  # counted above a strip, where a set's manifest has the column


def draw_samples(samples: pd.DataFrame, *, per_type: int = 4, side: int = 150) -> Figure:
    """Real images by category and type, defects outlined and, beside, enlarged; base ones first.

    Args:
        samples: The table `samples`.
        per_type: Images of each type; good ones are shown whole only.
        side: Of a picture, in pixels.
    """
    return _drawn(_of_samples(samples, per_type), side, "Real images, their defects outlined")


def draw_image_set(images: ImageSet, *, per_type: int = 4, side: int = 150) -> Figure:
    """Generated images as `draw_samples` shows real ones, or masks where a set has only these.

    Args:
        images: Of one of them, the pictures shown are spread evenly over its images.
        per_type: Images of each type.
        side: Of a picture, in pixels.
    """
    strips = _of_set(images, per_type)
    return _drawn(strips, side, "Generated, spread evenly over all of a type")


def _of_samples(samples: pd.DataFrame, per_type: int) -> Iterator[Strip]:
    first = samples.sort_values("split", key=lambda split: split != "base", kind="stable")
    for key, rows in first.groupby(["category", "defect_type"], sort=True):
        label = " / ".join(cast("tuple[str, str]", key))
        good = key[1] == GOOD
        tiles: list[np.ndarray] = []
        for sample in each_sample(rows.head(2 * per_type if good else per_type)):
            tiles += [sample.image()] if good else _pair(sample.image(), sample.mask())
        yield f"{label}: {_counts(rows['split'])}", tiles


def _of_set(images: ImageSet, per_type: int) -> Iterator[Strip]:
    pictured = (images.root / "images").exists()
    for key, rows in images.manifest.groupby(["category", "defect_type"], sort=True):
        label = " / ".join(cast("tuple[str, str]", key))
        told = [f"{len(rows)}", *(_counts(rows[name]) for name in _SAID if name in rows)]
        tiles: list[np.ndarray] = []
        for name in spread(rows, per_type if pictured else 2 * per_type)["image_id"]:
            mask = images.array(name, "mask")
            tiles += _pair(images.array(name, "image"), mask) if pictured else [mask]
        yield f"{label}: {'; '.join(told)}", tiles


def _pair(image: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """The whole and the part around the defect, both outlined."""
    marked = outlined(image, mask) if mask.any() else to_display(image)
    if not mask.any():
        return [marked]
    part = closeup(mask, least=32).slices
    return [marked, outlined(image[part], mask[part])]


def _counts(values: pd.Series) -> str:
    return ", ".join(f"{count} {name}" for name, count in values.value_counts().items())


def _drawn(strips: Iterator[Strip], side: int, title: str) -> Figure:
    sheets = [
        (label, contact_sheet(tiles, columns=len(tiles), side=side)) for label, tiles in strips
    ]
    if not sheets:
        return style.empty_figure("No pictures")
    figure = stacked(sheets)
    style.title(figure, title)
    return figure
