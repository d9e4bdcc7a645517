"""How the synthetic defects are spread, beside the real ones: size, place, contrast, direction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from PIL import Image

from defectsynth_pipeline.appearance.compose import contrast
from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.figures.previews import spread
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.pixels import as_planes, to_float
from defectsynth_pipeline.shape.geometry import main_axis

GRID = 32  # cells of a map of places, each way
MEASURED = 300  # synthetic images of a type, evenly chosen: more say no more
_LONG = 1.5  # ratio of the main axes, from which a defect has a direction
_APART = 1.5  # how far medians may be apart, as a ratio, before it is said


@dataclass(frozen=True)
class Spread:
    """The real or the synthetic defects of one type.

    Attributes:
        areas: Share of the image, in (0, 1], one per defect image.
        contrasts: As `compose.contrast`, in [0, 1].
        angles: Of the main axis, degrees in [-90, 90), of those that are long.
        places: (GRID, GRID), share of the images whose mask covers the cell.
        images: How many were measured.
    """

    areas: np.ndarray
    contrasts: np.ndarray
    angles: np.ndarray
    places: np.ndarray
    images: int


@dataclass(frozen=True)
class Distributions:
    """Both sides of one type; `synthetic` is None where nothing was published."""

    name: str
    real: Spread
    synthetic: Spread | None


def distributions(samples: pd.DataFrame, images: ImageSet) -> list[Distributions]:
    """Measure real base samples and published images, type by type.

    Args:
        samples: The table `samples`; test rows are not looked at.
        images: The set; the contrast of its images is in its manifest.
    """
    base, found = samples[samples["split"] == "base"], []
    every = pd.concat([images.manifest, images.rejected])
    for key, _ in every.groupby(["category", "defect_type"], sort=True):
        category, kind = cast("tuple[str, str]", key)
        mine, made = (
            table[(table["category"] == category) & (table["defect_type"] == kind)]
            for table in (base, images.manifest)
        )
        chosen = spread(made, MEASURED)
        masks = (images.array(str(name), "mask") for name in chosen["image_id"])
        synthetic = _spread(zip(masks, chosen["contrast"], strict=True)) if len(chosen) else None
        found.append(Distributions(f"{category} / {kind}", _spread(_reals(mine)), synthetic))
    return found


def differences(found: list[Distributions]) -> Iterator[str]:
    """Sentences on types whose synthetic defects are of another size or contrast than the real."""
    for one in found:
        if one.synthetic is None or not one.real.images:
            continue
        for what, real, made, more, less in (
            ("area", one.real.areas, one.synthetic.areas, "larger", "smaller"),
            ("contrast", one.real.contrasts, one.synthetic.contrasts, "stronger", "fainter"),
        ):
            ratio = float(np.median(made) / max(np.median(real), 1e-9))
            if not 1 / _APART <= ratio <= _APART:
                word, times = (more, ratio) if ratio > 1 else (less, 1 / max(ratio, 1e-9))
                yield (
                    f"{one.name}: synthetic defects are {times:.1f} times {word} than the real "
                    f"ones (median {what} {np.median(made):.3g} instead of {np.median(real):.3g})."
                )


def _reals(rows: pd.DataFrame) -> Iterator[tuple[np.ndarray, float]]:
    for sample in each_sample(rows):
        mask = sample.mask()
        yield mask, contrast(as_planes(to_float(sample.image()), 3), mask)


def _spread(measured: Iterator[tuple[np.ndarray, float]]) -> Spread:
    areas, contrasts, angles = [], [], []
    places = np.zeros((GRID, GRID))
    for mask, strength in measured:
        areas.append(mask.mean())
        contrasts.append(strength)
        angle, (major, minor) = main_axis(np.argwhere(mask))
        if major > _LONG * minor:
            angles.append(np.degrees(angle))
        cover = Image.fromarray(mask.astype(np.float32))
        places += np.asarray(cover.resize((GRID, GRID), Image.Resampling.BOX)) > 0
    count = len(areas)
    return Spread(
        np.array(areas), np.array(contrasts), np.array(angles), places / max(count, 1), count
    )
