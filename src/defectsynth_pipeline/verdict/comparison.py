"""Arms side by side: a metric's mean, its interval, and paired differences to the controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import ALL_TYPES
from defectsynth_pipeline.measures.resampling import interval, seed_mean
from defectsynth_pipeline.schemas import own_columns

BASE, NORMALS_ONLY = "base", "normals_only"
CONTROLS = (BASE, NORMALS_ONLY, "crop_paste", "crop_paste_matched")
ALL = ALL_TYPES
PAYS, NO_EVIDENCE, CANNOT_JUDGE, HARMS = "pays", "no evidence", "cannot judge", "harms"
POWER = 0.8  # of a two-sided test at the protocol's confidence, for `detectable`
CATEGORY = ["task", "corpus", "category"]
_GAP = ("difference", "difference_low", "difference_high", "detectable")
SETTINGS = ("role", "n_synthetic", "set_size", "steps", "weights", "selected", "held_out")
COLUMNS = own_columns("localization_report")

METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "f1": "F1",
    "mean_pixel_ap": "mean pixel AP",
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
_NONE: Mapping[str, Scores] = MappingProxyType({})


def primary_metric(task: str, defect_type: str) -> str:
    """The one metric a verdict rests on, fixed here and nowhere else.

    Localization is judged by the average precision over pixels, which does not saturate when
    defects are small, and over all types by its mean over them: pooled over the pixels of all
    types it is ruled by the largest defects. Classification is judged by the F1 score of the
    type, and by the mean of them over all types.
    """
    if task == "localization":
        return "mean_pixel_ap" if defect_type == ALL else "pixel_ap"
    return "macro_f1" if defect_type == ALL else "f1"


def is_primary(report: pd.DataFrame) -> np.ndarray:
    """Which rows of a report (N,) hold the metric that a verdict rests on."""
    places = zip(report["task"], report["defect_type"], report["metric"], strict=True)
    return np.array([m == primary_metric(task, kind) for task, kind, m in places], dtype=bool)


def controls_in(verdict: pd.DataFrame) -> list[str]:
    """The controls that some row is compared with, in their fixed order."""
    return [name for name in CONTROLS if (verdict["against"] == name).any()]


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
        chance: What the same answers dealt out at random would have, one value per seed.
    """

    exact: Sequence[float]
    resampled: Sequence[np.ndarray]
    chance: Sequence[float] = (math.nan,)


def compare(
    scores: Mapping[str, Scores],
    weights: np.ndarray,
    confidence: float,
    beside: Mapping[str, Scores] = _NONE,
    controls: Sequence[str] = CONTROLS,
) -> Iterator[dict[str, Any]]:
    """Yield a row per arm, and one more per control the arm is compared with.

    Args:
        scores: By arm; all of one metric on one test set.
        weights: Of the seeds, (R, S), from `resampling.seed_weights`.
        confidence: Share of resamples inside an interval.
        beside: Controls of another detector, which get no rows of their own.
        controls: The arms that every other one is compared with.

    Yields:
        arm, value (mean over seeds), low, high, seed_std, chance, against, difference,
        difference_low, difference_high, detectable.
    """
    every = {**beside, **scores}
    for arm, mine in scores.items():
        # Widening may leave the range of a metric, which is [0, 1] for all of ours.
        draws = np.clip(_widened(mine.resampled, weights), 0, 1)
        low, high = interval(draws, confidence)
        spread = float(np.std(mine.exact, ddof=1)) if len(mine.exact) > 1 else np.nan
        value, chance = float(np.mean(mine.exact)), float(np.mean(mine.chance))
        level = {"arm": arm, "value": value, "low": low, "high": high, "seed_std": spread}
        level["chance"] = chance
        yield {**level, "against": "", **dict.fromkeys(_GAP, np.nan)}
        for control in controls:
            if control not in every or control == arm:
                continue
            other = every[control]
            # Both share seeds and resamples: what makes a test set easy or a start lucky cancels.
            pairs = zip(mine.resampled, other.resampled, strict=True)
            draws = _widened([a - b for a, b in pairs], weights)
            gap = float(np.mean(mine.exact) - np.mean(other.exact))
            ends = interval(draws, confidence)
            found = (gap, *ends, detectable(draws, confidence))
            yield {**level, "against": control, **dict(zip(_GAP, found, strict=True))}


def detectable(differences: np.ndarray, confidence: float) -> float:
    """The smallest true difference that a test set shows in `POWER` of all cases.

    (z_{1 - a / 2} + z_{power}) times the standard error of the paired difference, with a = 1 -
    `confidence` (Cohen, "Statistical Power Analysis", 1988, Sec. 2.4, for a known deviation).

    Args:
        differences: (R,) resampled and widened; their deviation is the standard error.
        confidence: Of the interval that has to leave out 0.

    Returns:
        At least 0; nan where fewer than two resamples have a difference.
    """
    defined = differences[~np.isnan(differences)]
    if len(defined) < 2:
        return math.nan
    normal = NormalDist()
    factor = normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(POWER)
    return float(factor * defined.std(ddof=1))


def _widened(values: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Resampled means over seeds (R,), the seeds' share of the spread without its bias.

    A bootstrap of S values understates the variance of their mean by the factor (S - 1) / S, a
    half for two seeds (Efron and Tibshirani, 1993, Sec. 5.3). So the deviation of each resample
    from the mean over all seeds is multiplied by sqrt(S / (S - 1)). With one seed there is none.

    Args:
        values: Per seed (R,).
        weights: Of the seeds, (R, S).
    """
    seeds = weights.shape[1]
    centre = seed_mean(values, np.ones_like(weights))
    if seeds == 1:
        return centre
    return centre + math.sqrt(seeds / (seeds - 1)) * (seed_mean(values, weights) - centre)
