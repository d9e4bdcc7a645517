"""Rows of a report: one category's measurements with intervals, settings and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.measures.resampling import seed_weights
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import ALL, Scores, compare

Run: TypeAlias = tuple[str, int]  # arm, seed
# By (defect_type, metric): the value on the test set, and on every resample of it (R,).
Measured: TypeAlias = dict[tuple[str, str], tuple[float, np.ndarray]]

BOOTSTRAP_SEED = 0
_SETTINGS = ["n_synthetic", "set_size", "steps", "weights"]
_INFLATED = "inflated: checkpoint chosen on the test set"


def report_rows(
    task: str,
    place: dict[str, Any],
    meta: pd.DataFrame,
    images: pd.DataFrame,
    measured: Mapping[Run, Measured],
    protocol: ProtocolOptions,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one category, each with what it rests on.

    Args:
        task: "classification" or "localization".
        place: corpus, category, selected.
        meta: The trainings, a row per arm and seed, `results.META_COLUMNS`.
        images: The test images: group, defect_type.
        measured: What every training measured, all on these images and the same resamples.
        protocol: Resamples, confidence and ceiling.

    Raises:
        InputError: Arms were not trained with the same seeds.
    """
    seeds = _same_seeds(meta, f"{place['corpus']}/{place['category']}")
    weights = seed_weights(len(seeds), protocol.bootstrap, BOOTSTRAP_SEED)
    settings = meta.drop_duplicates("arm").set_index("arm")[_SETTINGS].to_dict("index")
    for kind, metric in next(iter(measured.values())):
        scores = _of_arms(measured, settings, seeds, (kind, metric))
        sizes = _sizes(images, kind)
        for row in compare(scores, weights, protocol.confidence):
            note = _note(row["value"], scores, metric, sizes, place["selected"], protocol)
            yield {
                "task": task,
                **place,
                "defect_type": kind,
                "metric": metric,
                **row,
                **sizes,
                "seeds": len(seeds),
                **settings[row["arm"]],
                "note": note,
            }


def _same_seeds(meta: pd.DataFrame, category: str) -> list[int]:
    """The seeds, after a check that every arm has them all."""
    seeds = sorted(meta["seed"].unique())
    for arm, runs in meta.groupby("arm", sort=False):
        if sorted(runs["seed"]) != seeds:
            raise InputError(
                "an arm was not trained once with each seed",
                value=f"{category}, {arm}: {sorted(runs['seed'])} of {seeds}",
                remedy="run the whole downstream pipeline again",
            )
    return seeds


def _of_arms(
    measured: Mapping[Run, Measured], arms: Mapping[Any, Any], seeds: list[int], of: tuple[str, str]
) -> dict[str, Scores]:
    """One metric of every arm, seeds in order."""
    return {
        arm: Scores(*zip(*(measured[arm, seed][of] for seed in seeds), strict=True)) for arm in arms
    }


def _sizes(images: pd.DataFrame, kind: str) -> dict[str, int]:
    """Numbers of defective images and of their groups, and of good images."""
    types = images["defect_type"]
    defective = images[types != GOOD] if kind == ALL else images[types == kind]
    return {
        "n_test": len(defective),
        "n_groups": defective["group"].nunique(),
        "n_good": int((types == GOOD).sum()),
    }


def _note(
    value: float,
    scores: Mapping[str, Scores],
    metric: str,
    sizes: Mapping[str, int],
    selected: str,
    protocol: ProtocolOptions,
) -> str:
    base = float(np.mean(scores["base"].exact)) if "base" in scores else None
    notes = [
        _INFLATED if selected == LEGACY else "",
        _reason_of_nan(metric, sizes["n_test"], sizes["n_good"]) if np.isnan(value) else "",
        _ceiling_note(base, protocol.ceiling),
    ]
    return "; ".join(note for note in notes if note)


def _reason_of_nan(metric: str, n_test: int, n_good: int) -> str:
    """Say why a metric has no value."""
    if n_test == 0:
        return "not defined: no defective images in the test set"
    if metric.startswith("image_") and n_good == 0:
        return "not defined: no good images in the test set"
    return "not defined on this test set"


def _ceiling_note(base: float | None, ceiling: float) -> str:
    """A warning where the base arm leaves no room, else nothing."""
    if base is None or not base > ceiling:
        return ""
    return f"base arm at {base:.2f}: too near its ceiling to show anything"
