"""Overlays: what a localizer marks on test images, beside the truth."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image

from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.figures.previews import closeup, outlined, to_display
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.inspection.results import LocalizationResults
from defectsynth_pipeline.verdict.choice import of_chosen

_SIDE = 300  # px, longer side of a panel's picture
_SHOWN = ("corpus", "category", "detector", "arm")
_LETTERS = 26  # of a line of a label
_SMALL = 0.25  # of the image's longer side: smaller defects are shown enlarged as well
_HEAT = colormaps["plasma"]


def draw_overlays(
    results: LocalizationResults, samples: pd.DataFrame, *, per_category: int = 3
) -> Figure:
    """Draw test images in rows: image, truth outlined, then each arm's probabilities with truth.

    Arms are those of each category's chosen detector, as in the verdict, and `normals_only`.
    The picture behind the probabilities is grey; colour begins where the probability does. Under
    an image with a small defect the same is shown enlarged.

    Args:
        results: With `overlays`, and in `meta` what says which detector is chosen.
        samples: The table `samples`; the test images shown are read from it.
        per_category: Test images at most per category.
    """
    chosen = of_chosen(results.meta, ["corpus", "category"]).drop_duplicates(list(_SHOWN))
    shown = {
        (corpus, category, arm): results.overlays[corpus, category, detector, arm]
        for corpus, category, detector, arm in chosen[list(_SHOWN)].itertuples(index=False)
        if (corpus, category, detector, arm) in results.overlays
    }
    arms = style.whole_arms(arm for _, _, arm in shown)
    by_id = {sample.sample_id: sample for sample in each_sample(samples)}
    lines = [
        line
        for (corpus, category), names in _chosen(shown, per_category).items()
        for name in names
        for line in _lines(
            category,
            by_id[name],
            [shown.get((corpus, category, arm), {}).get(name) for arm in arms],
        )
    ]
    if not lines:
        return style.empty_figure("No overlays")
    size = (max(7.0, 1.2 + 1.7 * (2 + len(arms))), 1.1 + 1.65 * len(lines))
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    panels = figure.subplots(len(lines), 2 + len(arms), squeeze=False)
    for line, (label, pictures) in zip(panels, lines, strict=True):
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(picture)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(label, fontsize=6, rotation=0, ha="right", va="center")
    for ax, title in zip(panels[0], ["image", "truth", *arms], strict=True):
        ax.set_title(title, fontsize=style.NORMAL)
    style.title(figure, "Defect probability on real test images, first seed; cyan line: truth")
    bar = figure.colorbar(
        ScalarMappable(cmap=_HEAT), ax=panels, location="bottom", shrink=0.4, aspect=40, pad=0.01
    )
    bar.set_label("probability of a defect", fontsize=style.SMALL)
    bar.ax.tick_params(labelsize=style.SMALL)
    return figure


def _chosen(
    overlays: Mapping[tuple[str, str, str], Mapping[str, np.ndarray]], count: int
) -> dict[tuple[str, str], list[str]]:
    """The first few test images in stored order, by corpus and category."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for (corpus, category, _), maps in overlays.items():
        found.setdefault((corpus, category), {}).update(dict.fromkeys(maps))
    return {place: list(names)[:count] for place, names in found.items()}


def _lines(
    category: str, sample: Sample, maps: list[np.ndarray | None]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Labels with image, truth and a picture per arm, whole and, where small, enlarged.

    The pictures are uint8 (h, w, 3), reduced to what is drawn, white where an arm has no map.
    """
    image, mask = to_display(sample.image()), sample.mask()
    blank = np.full_like(image, 255)
    plain = [image, *(blank if heat is None else _heated(image, heat) for heat in maps)]
    # As wide on every panel, however large the image.
    width = max(1, max(mask.shape) // 200)
    marked = [
        picture if picture is blank else outlined(picture, mask, colour=style.TRUTH, width=width)
        for picture in plain
    ]
    pictures, name = [image, *marked], sample.sample_id
    whole = "\n".join([f"{category} / {sample.defect_type}", *textwrap.wrap(name, _LETTERS)])
    yield whole, [_reduced(shown) for shown in pictures]
    if mask.any() and Rectangle.around(mask).extent < _SMALL * max(mask.shape):
        part = closeup(mask, least=32).slices
        enlarged = [_reduced(shown[part]) for shown in pictures]
        yield f"{category} / {sample.defect_type}\nenlarged", enlarged


def _reduced(picture: np.ndarray) -> np.ndarray:
    shrink = min(1.0, _SIDE / max(picture.shape[:2]))
    height, width = (max(1, round(side * shrink)) for side in picture.shape[:2])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


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
