"""Overlays: what a localizer marks on test images, beside the truth."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from defectsynth_pipeline.corpora.reading import load_image, load_mask
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.figures.previews import to_display
from defectsynth_pipeline.inspection.results import LocalizationResults

Window: TypeAlias = tuple[slice, slice]

_SIDE = 300  # px, longer side of a panel's picture
_SMALL = 0.25  # of the image's longer side: smaller defects are shown enlarged as well
_HEAT = colormaps["plasma"]
_LINE = (0, 255, 255)  # far from every colour of the heat map, and from grey


def draw_overlays(
    results: LocalizationResults, samples: pd.DataFrame, *, per_category: int = 3
) -> Figure:
    """Draw test images in rows: image, truth outlined, then each arm's probabilities with truth.

    The picture behind the probabilities is grey; colour begins where the probability does. Under
    an image with a small defect the same is shown enlarged.

    Args:
        results: With `overlays`.
        samples: The table `samples`; the test images shown are read from it.
        per_category: Test images at most per category.
    """
    arms = style.whole_arms(arm for _, _, arm in results.overlays)
    by_id = samples.set_index("sample_id", drop=False)
    lines = [
        (place, by_id.loc[name], window)
        for place, name in _chosen(results, per_category)
        for window in _windows(load_mask(by_id.loc[name]))
    ]
    if not lines:
        return style.empty_figure("No overlays")
    size = (max(6.5, 1.75 * (2 + len(arms))), 1.1 + 1.85 * len(lines))
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    panels = figure.subplots(len(lines), 2 + len(arms), squeeze=False)
    for line, ((corpus, category), row, window) in zip(panels, lines, strict=True):
        maps = [results.overlays.get((corpus, category, arm), {}) for arm in arms]
        pictures = _pictures(row, [of_arm.get(row["sample_id"]) for of_arm in maps])
        for ax, picture in zip(line, pictures, strict=True):
            _show(ax, picture if window is None else picture[window])
        line[0].set_ylabel(_label(category, row, window), fontsize=6)
    for ax, title in zip(panels[0], ["image", "truth", *arms], strict=True):
        ax.set_title(title, fontsize=style.NORMAL)
    style.title(figure, "Defect probability on real test images, first seed; cyan line: truth")
    _colour_bar(figure, panels)
    return figure


def _chosen(results: LocalizationResults, count: int) -> list[tuple[tuple[str, str], str]]:
    """(corpus, category) and sample_id of every test image, in stored order."""
    found: dict[tuple[str, str], list[str]] = {}
    for (corpus, category, _), maps in results.overlays.items():
        names = found.setdefault((corpus, category), [])
        names.extend(name for name in maps if name not in names)
    return [(place, name) for place, names in found.items() for name in names[:count]]


def _windows(mask: np.ndarray) -> list[Window | None]:
    """The whole image (None), and a square window around the defect if that is small."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return [None]
    reach = int(max(np.ptp(rows), np.ptp(columns))) + 1
    if reach >= _SMALL * max(mask.shape):
        return [None]
    side = min(max(2 * reach, 32), *mask.shape)
    starts = [
        int(np.clip((where.min() + where.max() - side) // 2, 0, size - side))
        for where, size in zip((rows, columns), mask.shape, strict=True)
    ]
    return [None, (slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side))]


def _label(category: str, row: Any, window: Window | None) -> str:
    name = row["sample_id"] if len(row["sample_id"]) < 28 else f"…{row['sample_id'][-26:]}"
    part = name if window is None else "enlarged"
    return f"{category} / {row['defect_type']}\n{part}"


def _pictures(row: Any, maps: list[np.ndarray | None]) -> list[np.ndarray]:
    """Image, truth and one picture per arm, uint8 (H, W, 3); white where an arm has no map."""
    image, mask = to_display(load_image(row)), load_mask(row)
    blank = np.full_like(image, 255)
    heated = [blank if heat is None else _outlined(_heated(image, heat), mask) for heat in maps]
    return [image, _outlined(image, mask), *heated]


def _outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture with a line just outside the mask, about as wide on every panel."""
    shown = image.copy()
    width = max(1, max(mask.shape) // 200)
    shown[ndimage.binary_dilation(mask, iterations=width) & ~mask] = _LINE
    return shown


def _heated(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The grey picture with the probability laid over it, uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3).
        heat: uint8 (H, W), 255 for certain.
    """
    probability = heat[..., None] / 255
    grey = image.mean(axis=2, keepdims=True) * 0.75
    colour = _HEAT(heat)[..., :3] * 255
    cover = np.clip(1.4 * probability, 0, 0.85)
    return np.asarray(np.round(grey * (1 - cover) + colour * cover), dtype=np.uint8)


def _show(ax: Axes, picture: np.ndarray) -> None:
    shrink = min(1.0, _SIDE / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink)))
    ax.imshow(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _colour_bar(figure: Figure, panels: np.ndarray) -> None:
    bar = figure.colorbar(
        ScalarMappable(cmap=_HEAT), ax=panels, location="bottom", shrink=0.4, aspect=40, pad=0.01
    )
    bar.set_label("probability of a defect", fontsize=style.SMALL)
    bar.ax.tick_params(labelsize=style.SMALL)
