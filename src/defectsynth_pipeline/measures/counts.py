"""Counted scores: score maps on a fixed scale of levels, metrics and threshold sweeps over counts.

Counts per score instead of single pixels: a thousand images cost no more than one. Running sums
from the highest level down stand for thresholds: column k holds what is called positive with the
threshold at the k-th highest level, the last column the totals. All values are nan where a class
is missing, never a number that only looks like one.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

LEVELS = 65536
COARSE = 1024
RANGE = 16.0


def quantise(logits: np.ndarray) -> np.ndarray:
    """Bring logits of any shape to 65536 even levels over [-16, 16], clipped, as uint16.

    A level is 1/2048 wide, and logit 0 (probability 0.5) is the lower edge of level 32768, so
    `level >= 32768` and `logit >= 0` hold for the same values.
    """
    wide = np.asarray(logits, dtype=np.result_type(logits, np.float32))
    half = LEVELS // 2
    # The factor is a power of two, hence exact; adding 16 first would round -1e-9 up to 0.
    steps = np.floor(wide * np.float32(half / RANGE))
    return np.asarray(np.clip(steps, -half, half - 1) + half, dtype=np.uint16)


def image_score(logits: np.ndarray) -> float:
    """Score of a whole image: the highest mean of 3x3 logits (H, W), edges repeated."""
    wide = np.pad(np.asarray(logits, dtype=float), 1, mode="edge")
    # Sums of slices, not a running sum: equal neighbourhoods must score equal to the last bit.
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    return float((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]).max() / 9)


def region_weights(mask: np.ndarray) -> np.ndarray:
    """Weigh the defect pixels so that every region counts as one, whatever its size.

    Args:
        mask: (H, W) bool.

    Returns:
        float64 (n,), one weight per defect pixel in raster order: 1 / area of its 8-connected
        region. The weights sum to the number of regions.
    """
    regions, _ = ndimage.label(mask, structure=np.ones((3, 3), dtype=int))
    owners = regions[mask]
    areas = np.bincount(owners, minlength=1)
    return np.asarray(1.0 / areas[owners], dtype=float)


def pixel_histograms(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Count the pixels of one image on the levels of `quantise`.

    Args:
        logits: (H, W) float.
        mask: (H, W) bool.

    Returns:
        float64 (3, LEVELS): defect pixels, negatives, and defect pixels weighed by
        `region_weights`.
    """
    levels = quantise(logits)
    defect = levels[mask]
    weighed = np.bincount(defect, weights=region_weights(mask), minlength=LEVELS)
    counts = [np.bincount(part, minlength=LEVELS) for part in (defect, levels[~mask])]
    return np.stack([*counts, weighed]).astype(float)


def coarse_histograms(counts: np.ndarray) -> np.ndarray:
    """Sum `pixel_histograms` (3, LEVELS) up to float32 (3, COARSE); logit 0 stays an edge."""
    return np.asarray(counts.reshape(3, COARSE, -1).sum(axis=2), dtype=np.float32)


SWEEP_METRICS = ("auroc", "ap", "f1", "f1_max")
POINTS = 200
FPR_LIMIT = 0.3


def pooled_metrics(
    positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray, threshold: float
) -> dict[str, float]:
    """Exact metrics of counted scores.

    Args:
        positives: (L,) how many positives have each score, at least 0.
        negatives: (L,) likewise for the negatives.
        scores: (L,) the scores, in any order.
        threshold: Scores at or above it are predicted positive for `f1`.

    Returns:
        The values of `SWEEP_METRICS`, in [0, 1]; all nan without positives or without negatives.
    """
    if not (positives.sum() and negatives.sum()):
        return dict.fromkeys(SWEEP_METRICS, float("nan"))
    labels, values, counts = _weighted(positives, negatives, scores)
    precision, recall, _ = precision_recall_curve(labels, values, sample_weight=counts)
    best = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    predicted = values >= threshold
    return {
        "auroc": float(roc_auc_score(labels, values, sample_weight=counts)),
        "ap": float(average_precision_score(labels, values, sample_weight=counts)),
        "f1": float(f1_score(labels, predicted, sample_weight=counts, zero_division=0)),
        "f1_max": float(best.max()),
    }


def pooled_curves(
    positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """ROC and precision-recall curves of counted scores; arguments as in `pooled_metrics`.

    Returns:
        "roc": (P, 2) of false and true positive rate; "pr": (P, 2) of recall and precision, from
        recall 0 up; P <= 200, and 0 where the curve is not defined.
    """
    if not (positives.sum() and negatives.sum()):
        return {"roc": np.empty((0, 2)), "pr": np.empty((0, 2))}
    labels, values, counts = _weighted(positives, negatives, scores)
    fpr, tpr, _ = roc_curve(labels, values, sample_weight=counts)
    precision, recall, _ = precision_recall_curve(labels, values, sample_weight=counts)
    pr = np.column_stack([recall, precision])[::-1]
    return {"roc": _thinned(np.column_stack([fpr, tpr])), "pr": _thinned(pr)}


def _weighted(
    positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and counts of the scores that occur, as scikit-learn takes them."""
    hit, miss = positives > 0, negatives > 0
    labels = np.repeat([1, 0], [hit.sum(), miss.sum()])
    counts = np.concatenate([positives[hit], negatives[miss]]).astype(float)
    return labels, np.concatenate([scores[hit], scores[miss]]), counts


def _thinned(curve: np.ndarray) -> np.ndarray:
    """Keep at most `POINTS` rows of a curve (P, 2), even along it, both ends included."""
    if len(curve) <= POINTS:
        return curve
    travelled = np.concatenate([[0.0], np.abs(np.diff(curve, axis=0)).sum(axis=1).cumsum()])
    wanted = np.linspace(0, travelled[-1], POINTS)
    rows = np.searchsorted(travelled, wanted).clip(max=len(curve) - 1)
    rows[-1] = len(curve) - 1
    return np.asarray(curve[np.unique(rows)])


def from_top(counts: np.ndarray) -> np.ndarray:
    """Turn counts (..., L) of ascending levels into running sums (..., L) from the highest down."""
    return np.cumsum(counts[..., ::-1], axis=-1, dtype=float)


def sweep_metrics(hits: np.ndarray, alarms: np.ndarray, above: int) -> dict[str, np.ndarray]:
    """`pooled_metrics` for many resamples at once.

    Args:
        hits: (R, L) true positives with the threshold at each level, from the highest level down,
            as `from_top` gives them; the last column holds all positives.
        alarms: (R, L) false positives likewise.
        above: How many of the levels, from the highest down, are predicted positive for `f1`.

    Returns:
        The `SWEEP_METRICS`, each (R,); nan in resamples without positives or negatives.
    """
    positives, negatives = hits[:, -1], alarms[:, -1]
    found = np.diff(hits, axis=1, prepend=0)
    predicted = hits + alarms
    precision = np.divide(hits, predicted, out=np.zeros_like(predicted), where=predicted > 0)
    f1 = 2 * hits / np.maximum(positives[:, None] + predicted, 1e-12)
    steps = np.diff(alarms, axis=1, prepend=0)
    values = {
        "auroc": ratio((steps * (hits - found / 2)).sum(axis=1), positives * negatives),
        "ap": ratio((found * precision).sum(axis=1), positives),
        "f1": f1[:, above - 1] if above else np.zeros(len(hits)),
        "f1_max": f1.max(axis=1),
    }
    undefined = (positives == 0) | (negatives == 0)
    return {name: np.where(undefined, np.nan, value) for name, value in values.items()}


def region_overlap(overlap: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """PRO: area under the per-region-overlap curve up to a false positive rate of 0.3, normalised.

    Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021: the overlap at a threshold
    is the mean over regions of the part that is found. Between two thresholds the curve is
    straight, also where the limit cuts it.

    Args:
        overlap: (R, L) sum over regions of the found part, from the highest level down.
        alarms: (R, L) false positives likewise.

    Returns:
        (R,) in [0, 1]; nan without regions or without negatives.
    """
    x = ratio(alarms, alarms[:, -1:])
    y = ratio(overlap, overlap[:, -1:])
    width, rise = np.diff(x, axis=1, prepend=0), np.diff(y, axis=1, prepend=0)
    inside = np.clip(FPR_LIMIT - (x - width), 0, width)
    share = np.divide(inside, width, out=np.zeros_like(width), where=width > 0)
    return np.asarray((inside * (y - rise + rise * share / 2)).sum(axis=1) / FPR_LIMIT)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide, nan where the denominator is 0."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    return np.divide(above, below, out=np.full(shape, np.nan), where=below > 0)
