"""Metrics and curves of counted scores, by scikit-learn with the counts as sample weights.

Counts per score instead of single pixels: a thousand images cost no more than one. All values are
nan where a class is missing, never a number that only looks like one.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

SWEEP_METRICS = ("auroc", "ap", "f1", "f1_max")


def pooled_metrics(
    positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray, threshold: float
) -> dict[str, float]:
    """Exact metrics of counted scores.

    Args:
        positives: (L,) how many positives have each score, at least 0.
        negatives: (L,) likewise for the negatives.
        scores: (L,) the scores, in any order.
        threshold: Scores at or above it are called positive for `f1`.

    Returns:
        The values of `SWEEP_METRICS`, in [0, 1]; all nan without positives or without negatives.
    """
    if not (positives.sum() and negatives.sum()):
        return dict.fromkeys(SWEEP_METRICS, float("nan"))
    labels, values, counts = _weighted(positives, negatives, scores)
    precision, recall, _ = precision_recall_curve(labels, values, sample_weight=counts)
    best = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    called = values >= threshold
    return {
        "auroc": float(roc_auc_score(labels, values, sample_weight=counts)),
        "ap": float(average_precision_score(labels, values, sample_weight=counts)),
        "f1": float(f1_score(labels, called, sample_weight=counts, zero_division=0)),
        "f1_max": float(best.max()),
    }


def pooled_curves(
    positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray, points: int
) -> dict[str, np.ndarray]:
    """ROC and precision-recall curves of counted scores; arguments as in `pooled_metrics`.

    Returns:
        "roc": (P, 2) of false and true positive rate; "pr": (P, 2) of recall and precision, from
        recall 0 up; P <= `points`, and 0 where the curve is not defined.
    """
    if not (positives.sum() and negatives.sum()):
        return {"roc": np.empty((0, 2)), "pr": np.empty((0, 2))}
    labels, values, counts = _weighted(positives, negatives, scores)
    fpr, tpr, _ = roc_curve(labels, values, sample_weight=counts)
    precision, recall, _ = precision_recall_curve(labels, values, sample_weight=counts)
    pr = np.column_stack([recall, precision])[::-1]
    return {"roc": thinned(np.column_stack([fpr, tpr]), points), "pr": thinned(pr, points)}


def thinned(curve: np.ndarray, points: int) -> np.ndarray:
    """Keep at most `points` rows of a curve (P, 2), spread evenly along it, both ends included."""
    if len(curve) <= points:
        return curve
    travelled = np.concatenate([[0.0], np.abs(np.diff(curve, axis=0)).sum(axis=1).cumsum()])
    wanted = np.linspace(0, travelled[-1], points)
    rows = np.searchsorted(travelled, wanted).clip(max=len(curve) - 1)
    rows[-1] = len(curve) - 1
    return np.asarray(curve[np.unique(rows)])


def _weighted(
    positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and counts of the scores that occur, as scikit-learn takes them."""
    hit, miss = positives > 0, negatives > 0
    labels = np.repeat([1, 0], [hit.sum(), miss.sum()])
    counts = np.concatenate([positives[hit], negatives[miss]]).astype(float)
    return labels, np.concatenate([scores[hit], scores[miss]]), counts
