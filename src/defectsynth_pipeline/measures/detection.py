"""Metrics of score maps against masks, streamed image by image; in memory and in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.measures.counts import (
    COARSE,
    LEVELS,
    SWEEP_METRICS,
    coarse_histograms,
    from_top,
    image_score,
    pixel_histograms,
    pooled_curves,
    pooled_metrics,
    ratio,
    region_overlap,
    sweep_metrics,
)

T = TypeVar("T")

CHUNK = 250
METRICS = (
    *(f"image_{name}" for name in SWEEP_METRICS),
    *(f"pixel_{name}" for name in SWEEP_METRICS),
    "pro",
)
_COLUMNS = {"sample_id": str, "group": str, "defect_type": str, "score": float}
_UNREADABLE = (OSError, EOFError, LookupError, ValueError, AttributeError, TypeError, BadZipFile)


class LocalizationStats:
    """All that is kept of score maps and masks: histograms, and one score per image.

    Pixels are pooled on the levels of `quantise`, on which every pixel metric is exact. Scores
    closer than 1/2048 may count as equal: against unquantised scores AUROC moves by about 1e-6, AP
    by less than 1e-4, and F1 at 0.5 not at all. For the bootstrap each image keeps a coarse
    histogram of 1024 levels (12 KB), so that a thousand images need about 12 MB, whatever their
    size, and each defect type 1.5 MB.
    """

    def __init__(self) -> None:
        """Start without images."""
        self._rows: dict[str, tuple[str, str, float]] = {}  # group, defect_type, score by sample
        self._fine: dict[str, np.ndarray] = {}  # (3, LEVELS) by defect type
        self._coarse: list[np.ndarray] = []  # (3, COARSE) per image

    def __len__(self) -> int:
        """Number of images."""
        return len(self._rows)

    def update(
        self, sample_id: str, group: str, defect_type: str, logits: np.ndarray, mask: np.ndarray
    ) -> None:
        """Take in one test image.

        Args:
            sample_id: Its name, used once.
            group: Shots of one part share it.
            defect_type: "good" for a defect-free image; the label of the image, whatever its mask.
            logits: (H, W) float, finite.
            mask: (H, W) bool, all False for a good image.

        Raises:
            InputError: Shapes differ, a value is not finite, the sample was seen before, or a good
                image has defect pixels.
        """
        mask = np.asarray(mask, dtype=bool)
        if logits.ndim != 2 or logits.shape != mask.shape:
            raise InputError(
                f"score map of '{sample_id}' and its mask differ in shape",
                value=f"{logits.shape} and {mask.shape}",
                remedy="bring the score map to the native size of the image",
            )
        if not np.isfinite(logits).all():
            raise InputError(
                f"score map of '{sample_id}' holds values that are not finite",
                remedy="lower the learning rate; the detector has diverged",
            )
        if defect_type == GOOD and mask.any():
            raise InputError(
                "a good image has defect pixels", value=sample_id, remedy="correct its type or mask"
            )
        if sample_id in self._rows:
            raise InputError(
                "a test image was evaluated twice", value=sample_id, remedy="pass each image once"
            )
        counts = pixel_histograms(logits, mask)
        self._rows[sample_id] = (group, defect_type, image_score(logits))
        self._fine[defect_type] = self._fine.get(defect_type, 0) + counts
        self._coarse.append(coarse_histograms(counts))

    @property
    def images(self) -> pd.DataFrame:
        """sample_id, group, defect_type and score of each image, in the order they came."""
        rows = [(sample_id, *row) for sample_id, row in self._rows.items()]
        return pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"score": float})

    @property
    def defect_types(self) -> list[str]:
        """Defect types seen, sorted, without "good"."""
        return sorted(set(self._fine) - {GOOD})

    def metrics(self, defect_type: str | None = None) -> dict[str, float]:
        """Exact `METRICS` over all images, or over one type's images and the good ones.

        Image metrics rank images by `score`; `f1` predicts positive where the logit is >= 0; `pro`
        is `counts.region_overlap`.

        Args:
            defect_type: A type seen before; None for all.

        Returns:
            Values in [0, 1]; nan where not defined (no good images, no defect pixels).

        Raises:
            InputError: No image of the type was seen.
        """
        chosen = self._chosen(defect_type)
        bad, scores = _truth(chosen)
        image = pooled_metrics(bad.astype(float), (~bad).astype(float), scores, threshold=0.0)
        defect, negatives, regions = self._pooled(chosen)
        pixel = pooled_metrics(defect, negatives, np.arange(LEVELS), threshold=LEVELS / 2)
        pro = region_overlap(from_top(regions)[None], from_top(negatives)[None])
        return {**_named("image", image), **_named("pixel", pixel), "pro": float(pro[0])}

    def prevalence(self, defect_type: str | None = None) -> float:
        """Share of defect pixels: the pixel AP of the same scores dealt out at random.

        Args:
            defect_type: As in `metrics`.

        Returns:
            In [0, 1]; nan where pixel AP is not defined either.

        Raises:
            InputError: No image of the type was seen.
        """
        defect, negatives, _ = self._pooled(self._chosen(defect_type)).sum(axis=1)
        return float(defect / (defect + negatives)) if defect and negatives else float("nan")

    def mean_pixel_ap(self) -> float:
        """Pixel AP of each type with the good images, exact, mean over types.

        Unlike AP over all pixels it is not ruled by the types with the largest defects.

        Returns:
            In [0, 1]; nan where no type has one.
        """
        return float(over_types([self.metrics(kind)["pixel_ap"] for kind in self.defect_types]))

    def curves(self, defect_type: str | None = None) -> dict[str, np.ndarray]:
        """Curves of at most 200 points (P, 2) for drawing; P is 0 where one is not defined.

        Returns:
            image_roc, pixel_roc: false and true positive rate; image_pr, pixel_pr: recall and
            precision.
        """
        chosen = self._chosen(defect_type)
        bad, scores = _truth(chosen)
        image = pooled_curves(bad.astype(float), (~bad).astype(float), scores)
        defect, negatives, _ = self._pooled(chosen)
        pixel = pooled_curves(defect, negatives, np.arange(LEVELS))
        return {**_named("image", image), **_named("pixel", pixel)}

    def resampled(
        self, weights: np.ndarray, defect_type: str | None = None
    ) -> dict[str, np.ndarray]:
        """`metrics` of resampled test sets.

        Image values are exact. Pixel values come from the coarse histograms, shifted by what
        coarseness costs on the test set itself, so that they lie around the exact value.

        Args:
            weights: (R, N) how often each resample holds each image, in order of `images`; images
                of other types count as 0.
            defect_type: As in `metrics`.

        Returns:
            The `METRICS`, each (R,); nan in resamples where one is not defined.

        Raises:
            InputError: Weights of another number of images, or a type not seen.
        """
        if weights.ndim != 2 or weights.shape[1] != len(self):
            raise InputError(
                "bootstrap weights do not fit the images",
                value=f"{weights.shape}, {len(self)} images",
                remedy="draw the weights for this table of images",
            )
        chosen = self._chosen(defect_type)
        if chosen.empty:
            return {name: np.full(len(weights), np.nan) for name in METRICS}
        truth, coarse = _truth(chosen), np.stack([self._coarse[row] for row in chosen.index])
        exact = _resampled_pixels(np.ones((1, 1)), self._pooled(chosen)[None])
        rough = _resampled_pixels(np.ones((1, len(coarse))), coarse)
        parts = []
        for start in range(0, len(weights), CHUNK):
            counts = weights[start : start + CHUNK, chosen.index].astype(float)
            pixel = {
                name: np.clip(values + (exact[name] - rough[name]), 0, 1)
                for name, values in _resampled_pixels(counts, coarse).items()
            }
            parts.append({**_resampled_images(counts, *truth), **pixel})
        return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}

    def save(self, path: Path) -> None:
        """Write everything to one .npz without pickle; folders are made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        images, types = self.images, sorted(self._fine)
        arrays = {name: images[name].to_numpy(dtype=kind) for name, kind in _COLUMNS.items()}
        arrays["types"] = np.array(types, dtype=str)
        arrays["fine"] = np.array([self._fine[name] for name in types]).reshape(-1, 3, LEVELS)
        arrays["coarse"] = np.array(self._coarse, dtype=np.float32).reshape(-1, 3, COARSE)
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> LocalizationStats:
        """Read what `save` wrote.

        Raises:
            InputError: The file is missing or is no such archive.
        """
        loaded = cls()
        try:
            with np.load(path, allow_pickle=False) as archive:
                names, *columns = (archive[name].tolist() for name in _COLUMNS)
                rows = zip(*columns, strict=True)
                loaded._rows = dict(zip(names, rows, strict=True))
                types = archive["types"].tolist()
                loaded._fine = dict(zip(types, archive["fine"], strict=True))
                loaded._coarse = list(archive["coarse"])
        except _UNREADABLE as error:
            raise InputError(
                "results of a detector cannot be read",
                file=path,
                remedy="run the downstream pipeline again",
            ) from error
        return loaded

    def _chosen(self, defect_type: str | None) -> pd.DataFrame:
        """A type's images and the good ones, or all if it is None; the index is their position."""
        images = self.images
        if defect_type is None:
            return images
        if defect_type not in self.defect_types:
            raise InputError(
                "no test image of this defect type",
                value=defect_type,
                remedy=f"choose one of {', '.join(self.defect_types) or '(none)'}",
            )
        return images[images["defect_type"].isin([defect_type, GOOD])]

    def _pooled(self, images: pd.DataFrame) -> np.ndarray:
        """Fine histogram float64 (3, LEVELS) of all images of these types together."""
        types = sorted(images["defect_type"].unique())
        return sum((self._fine[name] for name in types), start=np.zeros((3, LEVELS)))


def over_types(values: Sequence[float | np.ndarray]) -> np.ndarray:
    """Mean over defect types of a metric, whole or in every resample.

    Args:
        values: Per type a number, or (R,).

    Returns:
        () or (R,); over the types that have a value, nan where none has.
    """
    table = np.stack([np.asarray(value, dtype=float) for value in values or [np.nan]])
    there = ~np.isnan(table)
    return ratio(np.where(there, table, 0).sum(axis=0), there.sum(axis=0))


def _truth(images: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which images are defective, bool (N,), and their scores (N,)."""
    return (images["defect_type"] != GOOD).to_numpy(), images["score"].to_numpy()


def _resampled_images(
    weights: np.ndarray, bad: np.ndarray, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """Exact image metrics of weights (R, N) on one score per image."""
    levels, places = np.unique(scores, return_inverse=True)
    # (2, N, L): which image is a positive, or a negative, of which level.
    cells = np.zeros((2, len(scores), len(levels)))
    cells[np.where(bad, 0, 1), np.arange(len(scores)), places] = 1
    hits, alarms = (from_top(weights @ cell) for cell in cells)
    return _named("image", sweep_metrics(hits, alarms, int((levels >= 0).sum())))


def _resampled_pixels(weights: np.ndarray, histograms: np.ndarray) -> dict[str, np.ndarray]:
    """Pixel metrics of weights (R, N) on one histogram (3, L) per image, of any fineness."""
    used = np.flatnonzero(histograms.any(axis=(0, 1)))
    defect, negatives, regions = (
        from_top(weights @ histograms[:, row][:, used].astype(float)) for row in range(3)
    )
    above = int((used >= histograms.shape[-1] // 2).sum())
    pixel = sweep_metrics(defect, negatives, above)
    return {**_named("pixel", pixel), "pro": region_overlap(regions, negatives)}


def _named(level: str, values: Mapping[str, T]) -> dict[str, T]:
    return {f"{level}_{name}": value for name, value in values.items()}
