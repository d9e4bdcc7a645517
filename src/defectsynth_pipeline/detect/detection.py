"""One detector at work: a map and a score per photograph, boxes above a threshold, a type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage
from torch import nn

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import Example, each_sample
from defectsynth_pipeline.figures.previews import spread
from defectsynth_pipeline.inspection.batches import make_view
from defectsynth_pipeline.inspection.classification import classify
from defectsynth_pipeline.inspection.localization import score_maps, to_size
from defectsynth_pipeline.measures.counts import image_score

MOST = 200  # real images of either kind that a threshold is taken from
_EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Threshold:
    """From which score on a photograph is called defective, and what it was taken from.

    Attributes:
        score: In logits.
        found: Share of the base defects at or above it.
        alarms: Share of the good images at or above it.
    """

    score: float
    found: float
    alarms: float
    defects: int
    goods: int


@dataclass(frozen=True)
class Finding:
    """What was found on one photograph.

    Attributes:
        logits: float32 (H, W).
        score: The highest mean of 3 x 3 logits.
        boxes: (x, y, width, height) in pixels, the highest first.
        kind: Defect type, or "good".
        probability: Of the type among the types; nan where it was not asked.
    """

    logits: np.ndarray
    score: float
    boxes: tuple[tuple[int, int, int, int], ...]
    kind: str
    probability: float


@dataclass(frozen=True)
class Inspector:
    """A localizer with its threshold, and a classifier for what it calls defective.

    Attributes:
        localizer: From `DetectorSet.model`.
        side: Its scale, px.
        types: Of the category.
        classifier: With its scale and the order of its types; None where there is one type only.
    """

    localizer: nn.Module
    side: int
    types: Sequence[str]
    classifier: tuple[nn.Module, int, Sequence[str]] | None

    def logits(self, image: np.ndarray) -> np.ndarray:
        """Return the map of an image (H, W) or (H, W, 3), float32 (H, W)."""
        view = make_view(_example(image), self.side, square=False)
        return to_size(score_maps(self.localizer, view.image[None])[0], image.shape[:2])

    def inspect(self, image: np.ndarray, threshold: float) -> Finding:
        """Look at one photograph, as large as those that the detector was trained on."""
        logits = self.logits(image)
        score = image_score(logits)
        if score < threshold:
            return Finding(logits, score, (), GOOD, float("nan"))
        return Finding(logits, score, boxes(logits, threshold), *self._kind(image))

    def _kind(self, image: np.ndarray) -> tuple[str, float]:
        if self.classifier is None:
            return self.types[0], float("nan")
        model, side, types = self.classifier
        (row,) = classify(model, [make_view(_example(image), side, square=True).image])
        return types[int(row.argmax())], float(row.max())


def take_threshold(inspector: Inspector, samples: pd.DataFrame) -> Threshold:
    """Take the threshold from real images that the detector may know: base defects and good parts.

    It lies midway in the widest gap between scores among those of the best balanced accuracy.
    Since the detector was trained on these images, new parts will give more false alarms.

    Args:
        inspector: The detector.
        samples: Of its category; test images are not looked at.
    """
    told = {}
    for name, split in (("defects", "base"), ("goods", "normal")):
        rows = samples[samples["split"] == split]
        images = (sample.image() for sample in each_sample(spread(rows, MOST)))
        told[name] = np.array([image_score(inspector.logits(image)) for image in images])
    return between(told["defects"], told["goods"])


def between(defects: np.ndarray, goods: np.ndarray) -> Threshold:
    """Return the threshold between scores of defects and scores of good images; see above."""
    levels = np.unique(np.concatenate([defects, goods]))
    gaps = np.diff(levels, prepend=levels[0] - 1, append=levels[-1] + 1)
    cuts = np.concatenate([levels, levels[-1:] + 1]) - gaps / 2
    found = np.array([(defects >= cut).mean() if len(defects) else 1.0 for cut in cuts])
    alarms = np.array([(goods >= cut).mean() if len(goods) else 0.0 for cut in cuts])
    best = np.flatnonzero(found - alarms >= (found - alarms).max() - 1e-12)
    place = best[gaps[best].argmax()]
    return Threshold(
        float(cuts[place]), float(found[place]), float(alarms[place]), len(defects), len(goods)
    )


def boxes(logits: np.ndarray, threshold: float) -> tuple[tuple[int, int, int, int], ...]:
    """Return the boxes (x, y, width, height) around what lies above a threshold, highest first."""
    labels, count = ndimage.label(logits >= threshold, structure=_EIGHT)
    peaks = ndimage.maximum(logits, labels, range(1, count + 1)) if count else []
    order = np.argsort(-np.asarray(peaks))
    return tuple(_box(place) for place in (ndimage.find_objects(labels)[n] for n in order))


def _box(place: tuple[slice, slice]) -> tuple[int, int, int, int]:
    rows, columns = place
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


def _example(image: np.ndarray) -> Example:
    return Example(image, np.zeros(image.shape[:2], dtype=bool))
