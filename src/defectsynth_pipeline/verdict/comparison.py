"""Arms side by side: a metric's mean, its interval, and paired differences to the controls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from defectsynth_pipeline.measures.resampling import interval, paired_difference, seed_mean

CONTROLS = ("base", "base_normals", "crop_paste", "crop_paste_matched")
ALL = "all"
PAYS, NO_EVIDENCE, HARMS = "pays", "no evidence", "harms"
COLUMNS = (
    "task",
    "corpus",
    "category",
    "defect_type",
    "arm",
    "metric",
    "value",
    "low",
    "high",
    "seed_std",
    "against",
    "difference",
    "difference_low",
    "difference_high",
    "n_test",
    "n_groups",
    "n_good",
    "seeds",
    "n_synthetic",
    "set_size",
    "steps",
    "weights",
    "selected",
    "note",
)

METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "f1": "F1",
    "pixel_ap": "pixel AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_f1": "pixel F1",
    "pixel_f1_max": "pixel F1-max",
    "pro": "PRO",
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1": "image F1",
    "image_f1_max": "image F1-max",
}


def primary_metric(task: str, defect_type: str) -> str:
    """The one metric a verdict rests on, fixed here and nowhere else.

    Localization is judged by the average precision over pixels, which does not saturate when
    defects are small. Classification is judged by the F1 score of the type, and by the mean of
    them over all types.
    """
    if task == "localization":
        return "pixel_ap"
    return "macro_f1" if defect_type == ALL else "f1"


def fewest_groups(confidence: float) -> int:
    """Independent test images below which nothing can be shown.

    If all n agree, a two-sided sign test gives p = 2 * 0.5 ** n, which has to be at most
    1 - confidence: six images for 0.95. A bootstrap of fewer is too narrow to be believed.
    """
    return math.ceil(1 - math.log2(1 - confidence))


@dataclass(frozen=True)
class Scores:
    """One metric of one arm.

    Attributes:
        exact: The metric on the test set, one value per seed.
        resampled: The metric on every resample of the test images, (R,) per seed; a resample
            holds the same images for all arms and seeds.
    """

    exact: Sequence[float]
    resampled: Sequence[np.ndarray]


def compare(
    scores: Mapping[str, Scores], weights: np.ndarray, confidence: float
) -> Iterator[dict[str, Any]]:
    """Yield a row per arm, and one more per control the arm is compared with.

    Args:
        scores: By arm; all of one metric on one test set.
        weights: Of the seeds, (R, S), from `resampling.seed_weights`.
        confidence: Share of resamples inside an interval.

    Yields:
        arm, value (mean over seeds), low, high, seed_std, against, difference,
        difference_low, difference_high.
    """
    for arm, mine in scores.items():
        level = {"arm": arm, **_level(mine, weights, confidence)}
        yield {**level, "against": "", **_no_difference()}
        for control in CONTROLS:
            if control in scores and control != arm:
                gap = _difference(mine, scores[control], weights, confidence)
                yield {**level, "against": control, **gap}


def _level(mine: Scores, weights: np.ndarray, confidence: float) -> dict[str, float]:
    spread = np.std(mine.exact, ddof=1) if len(mine.exact) > 1 else np.nan
    draws = _widened(lambda w: seed_mean(mine.resampled, w), weights)
    # Widening may leave the range of a metric, which is [0, 1] for all of ours.
    low, high = interval(np.clip(draws, 0, 1), confidence)
    value = float(np.mean(mine.exact))
    return {"value": value, "low": low, "high": high, "seed_std": float(spread)}


def _difference(
    mine: Scores, other: Scores, weights: np.ndarray, confidence: float
) -> dict[str, float]:
    draws = _widened(lambda w: paired_difference(mine.resampled, other.resampled, w), weights)
    low, high = interval(draws, confidence)
    gap = float(np.mean(mine.exact) - np.mean(other.exact))
    return {"difference": gap, "difference_low": low, "difference_high": high}


def _no_difference() -> dict[str, float]:
    return dict.fromkeys(("difference", "difference_low", "difference_high"), np.nan)


def _widened(mean: Callable[[np.ndarray], np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Resampled means over seeds (R,), the seeds' share of the spread without its bias.

    A bootstrap of S values understates the variance of their mean by the factor (S - 1) / S, a
    half for two seeds (Efron and Tibshirani, 1993, Sec. 5.3). So the deviation of each resample
    from the mean over all seeds is multiplied by sqrt(S / (S - 1)). With one seed there is none.

    Args:
        mean: From weights of the seeds (R, S) to a mean per resample (R,).
        weights: Of the seeds, (R, S).
    """
    seeds = weights.shape[1]
    centre = mean(np.ones_like(weights))
    if seeds == 1:
        return centre
    return centre + math.sqrt(seeds / (seeds - 1)) * (mean(weights) - centre)
