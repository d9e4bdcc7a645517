"""Metrics of score maps against masks, streamed image by image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.measures.levels import LEVELS, image_score, pixel_histograms, quantise
from defectsynth_pipeline.measures.pooled import (
    SWEEP_METRICS,
    pooled_curves,
    pooled_metrics,
    thinned,
)
from defectsynth_pipeline.measures.records import GOOD, Records
from defectsynth_pipeline.measures.sweeps import (
    from_top,
    ratio,
    region_overlap,
    resampled_images,
    resampled_pixels,
)

__all__ = ["METRICS", "LocalizationStats", "quantise"]

POINTS = 200
CHUNK = 250
METRICS = (
    *(f"image_{name}" for name in SWEEP_METRICS),
    *(f"pixel_{name}" for name in SWEEP_METRICS),
    "pro",
)


class LocalizationStats(Records):
    """All that is kept of score maps and masks: histograms, and one score per image.

    Pixels are pooled on the levels of `quantise`, on which every pixel metric is exact. Scores
    closer than 1/2048 may count as equal: against unquantised scores AUROC moves by about 1e-6, AP
    by less than 1e-4, and F1 at 0.5 not at all. For the bootstrap each image keeps a coarse
    histogram of 1024 levels (12 KB), so that a thousand images need about 12 MB, whatever their
    size, and each defect type 1.5 MB.
    """

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
        _check(sample_id, defect_type, logits, mask)
        row = (sample_id, group, defect_type, image_score(logits))
        self.add(row, pixel_histograms(logits, mask))

    def metrics(self, defect_type: str | None = None) -> dict[str, float]:
        """Exact `METRICS` over all images, or over one type's images and the good ones.

        Image metrics rank images by `score`; `f1` calls positive what has logit >= 0; `pro` is
        `sweeps.region_overlap`.

        Args:
            defect_type: A type seen before; None for all.

        Returns:
            Values in [0, 1]; nan where not defined (no good images, no defect pixels).

        Raises:
            InputError: No image of the type was seen.
        """
        image = pooled_metrics(*self._image_counts(defect_type), threshold=0.0)
        defect, sound, regions = self._pixel_counts(defect_type)
        pixel = pooled_metrics(defect, sound, np.arange(LEVELS), threshold=LEVELS / 2)
        pro = region_overlap(from_top(regions)[None], from_top(sound)[None])
        return _named(image, {**pixel, "pro": float(pro[0])})

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
        rows = self.chosen(defect_type)
        if not len(rows):
            return {name: np.full(len(weights), np.nan) for name in METRICS}
        images = self.images.iloc[rows]
        bad, scores = (images["defect_type"] != GOOD).to_numpy(), images["score"].to_numpy()
        coarse, shift = self.coarse(rows), self._shift(defect_type, rows)
        parts = []
        for start in range(0, len(weights), CHUNK):
            counts = weights[start : start + CHUNK, rows].astype(float)
            pixel = resampled_pixels(counts, coarse)
            moved = {name: np.clip(pixel[name] + shift[name], 0, 1) for name in pixel}
            parts.append(_named(resampled_images(counts, scores, bad), moved))
        return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}

    def _shift(self, defect_type: str | None, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Exact minus coarse pixel metrics (1,) of the test set."""
        exact = resampled_pixels(np.ones((1, 1)), self._pixel_counts(defect_type)[None])
        coarse = resampled_pixels(np.ones((1, len(rows))), self.coarse(rows))
        return {name: exact[name] - coarse[name] for name in exact}

    def curves(self, defect_type: str | None = None) -> dict[str, np.ndarray]:
        """Curves of at most 200 points (P, 2) for drawing; P is 0 where one is not defined.

        Returns:
            image_roc, pixel_roc: false and true positive rate; image_pr, pixel_pr: recall and
            precision; pro: false positive rate and mean overlap with the regions, all of the curve.
        """
        defect, sound, regions = self._pixel_counts(defect_type)
        image = pooled_curves(*self._image_counts(defect_type), points=POINTS)
        pixel = pooled_curves(defect, sound, np.arange(LEVELS), points=POINTS)
        pro = np.column_stack([_rates(sound), _rates(regions)])
        return {
            **{f"image_{name}": curve for name, curve in image.items()},
            **{f"pixel_{name}": curve for name, curve in pixel.items()},
            "pro": np.empty((0, 2)) if np.isnan(pro).any() else thinned(pro, POINTS),
        }

    def _image_counts(self, defect_type: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images = self.images.iloc[self.chosen(defect_type)]
        bad = (images["defect_type"] != GOOD).to_numpy()
        return bad.astype(float), (~bad).astype(float), images["score"].to_numpy()

    def _pixel_counts(self, defect_type: str | None) -> np.ndarray:
        return self.fine(set(self.images["defect_type"].iloc[self.chosen(defect_type)]))


def _check(sample_id: str, defect_type: str, logits: np.ndarray, mask: np.ndarray) -> None:
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


def _rates(counts: np.ndarray) -> np.ndarray:
    """Share of the total at each threshold (L + 1,), from 0 up; nan without any."""
    sums = from_top(counts)
    return ratio(np.concatenate([[0.0], sums]), sums[-1:])


def _named(image: Mapping, pixel: Mapping) -> dict:
    """Put the parts together under the names of `METRICS`."""
    named = {
        **{f"image_{k}": v for k, v in image.items()},
        **{f"pixel_{k}": v for k, v in pixel.items()},
    }
    named["pro"] = named.pop("pixel_pro")
    return named
