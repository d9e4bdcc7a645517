"""Threshold sweeps over counts per score level, many resamples at once, in arrays.

Running sums from the highest level down stand for thresholds: column k holds what is called
positive with the threshold at the k-th highest level. The last column holds the totals.
"""

from __future__ import annotations

import numpy as np

FPR_LIMIT = 0.3


def from_top(counts: np.ndarray) -> np.ndarray:
    """Turn counts (..., L) of ascending levels into running sums (..., L) from the highest down."""
    return np.cumsum(counts[..., ::-1], axis=-1, dtype=float)


def sweep_metrics(hits: np.ndarray, alarms: np.ndarray, above: int) -> dict[str, np.ndarray]:
    """`pooled.pooled_metrics` for many resamples at once.

    Args:
        hits: (R, L) true positives with the threshold at each level, from the highest level down,
            as `from_top` gives them; the last column holds all positives.
        alarms: (R, L) false positives likewise.
        above: How many of the levels, from the highest down, are called positive for `f1`.

    Returns:
        The `pooled.SWEEP_METRICS`, each (R,); nan in resamples without positives or negatives.
    """
    positives, negatives = hits[:, -1], alarms[:, -1]
    found = np.diff(hits, axis=1, prepend=0)
    called = hits + alarms
    precision = np.divide(hits, called, out=np.zeros_like(called), where=called > 0)
    f1 = 2 * hits / np.maximum(positives[:, None] + called, 1e-12)
    steps = np.diff(alarms, axis=1, prepend=0)
    values = {
        "auroc": ratio((steps * (hits - found / 2)).sum(axis=1), positives * negatives),
        "ap": ratio((found * precision).sum(axis=1), positives),
        "f1": f1[:, above - 1] if above else np.zeros(len(hits)),
        "f1_max": f1.max(axis=1),
    }
    undefined = (positives == 0) | (negatives == 0)
    return {name: np.where(undefined, np.nan, value) for name, value in values.items()}


def region_overlap(overlap: np.ndarray, alarms: np.ndarray, limit: float = FPR_LIMIT) -> np.ndarray:
    """PRO: area under the per-region-overlap curve up to a false positive rate, normalised.

    Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021: the overlap at a threshold
    is the mean over regions of the part that is found. Between two thresholds the curve is
    straight, also where the limit cuts it.

    Args:
        overlap: (R, L) sum over regions of the found part, from the highest level down.
        alarms: (R, L) false positives likewise.
        limit: Highest false positive rate, in (0, 1].

    Returns:
        (R,) in [0, 1]; nan without regions or without negatives.
    """
    x = ratio(alarms, alarms[:, -1:])
    y = ratio(overlap, overlap[:, -1:])
    width, rise = np.diff(x, axis=1, prepend=0), np.diff(y, axis=1, prepend=0)
    inside = np.clip(limit - (x - width), 0, width)
    share = np.divide(inside, width, out=np.zeros_like(width), where=width > 0)
    area = (inside * (y - rise + rise * share / 2)).sum(axis=1) / limit
    return np.asarray(area)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide, nan where the denominator is 0."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    return np.divide(above, below, out=np.full(shape, np.nan), where=below > 0)


def resampled_images(
    weights: np.ndarray, scores: np.ndarray, positive: np.ndarray
) -> dict[str, np.ndarray]:
    """Exact `sweep_metrics` of one score per image.

    Args:
        weights: (R, N) how often each resample holds each image.
        scores: (N,) logits; 0 and above is called positive for `f1`.
        positive: (N,) bool.
    """
    levels, places = np.unique(scores, return_inverse=True)
    # (2, N, L): which image is a positive, or a negative, of which level.
    cells = np.zeros((2, len(scores), len(levels)))
    cells[np.where(positive, 0, 1), np.arange(len(scores)), places] = 1
    hits, alarms = (from_top(weights @ cell) for cell in cells)
    return sweep_metrics(hits, alarms, int((levels >= 0).sum()))


def resampled_pixels(weights: np.ndarray, histograms: np.ndarray) -> dict[str, np.ndarray]:
    """`sweep_metrics` and "pro" of one histogram per image.

    Args:
        weights: (R, N) how often each resample holds each image.
        histograms: (N, 3, L) over levels of which the upper half is called positive for `f1`; rows
            as in `levels.pixel_histograms`.
    """
    used = np.flatnonzero(histograms.any(axis=(0, 1)))
    defect, sound, regions = (
        from_top(weights @ histograms[:, row][:, used].astype(float)) for row in range(3)
    )
    above = int((used >= histograms.shape[-1] // 2).sum())
    return {**sweep_metrics(defect, sound, above), "pro": region_overlap(regions, sound)}
