"""Metrics per arm with intervals, and paired differences to the controls, in long form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.results import (
    LEGACY,
    ClassificationResults,
    LocalizationResults,
)
from defectsynth_pipeline.measures.classification import classification_metrics
from defectsynth_pipeline.measures.classification import resampled as resampled_types
from defectsynth_pipeline.measures.detection import LocalizationStats
from defectsynth_pipeline.measures.resampling import image_weights, seed_weights
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import ALL, COLUMNS, SETTINGS, Scores, compare

Run: TypeAlias = tuple[str, int]  # arm, seed
# By (defect_type, metric): the value on the test set, and on every resample of it (R,).
Measured: TypeAlias = dict[tuple[str, str], tuple[float, np.ndarray]]
# The test images of a training, and what it measured on them, given resamples (R, N).
Tested: TypeAlias = tuple[pd.DataFrame, Callable[[np.ndarray], Measured]]

BOOTSTRAP_SEED = 0
_KEYS = ["corpus", "category", "selected"]


def classification_report(
    results: ClassificationResults, protocol: ProtocolOptions
) -> pd.DataFrame:
    """Accuracy and macro F1 over all types, and the F1 of each type.

    Args:
        results: Of an experiment.
        protocol: Resamples, confidence and ceiling.

    Returns:
        `comparison.COLUMNS`: a row per metric and arm with `against` empty, then one per control.
        Value is the mean over seeds; intervals are over groups of test images within each type,
        and over seeds. The same results always give the same report.

    Raises:
        InputError: Arms were not trained with the same seeds, or not tested on the same images.
    """
    tested = {}
    for key, rows in results.predictions.groupby([*_KEYS, "arm", "seed"], sort=False):
        table = rows.sort_values("sample_id").reset_index(drop=True)
        tested[key] = table, partial(_classified, table)
    return _report("classification", results.meta, tested, protocol)


def localization_report(results: LocalizationResults, protocol: ProtocolOptions) -> pd.DataFrame:
    """All metrics of `LocalizationStats`, over all types and over each type with the good images.

    Values are exact; intervals of pixel metrics come from histograms of 1024 levels. Arguments,
    result and errors are those of `classification_report`.
    """
    tested = {}
    for row in results.meta.itertuples():
        kept = results.legacy if row.selected == LEGACY else results.stats
        stats = kept[row.corpus, row.category, row.arm, row.seed]
        key = (row.corpus, row.category, row.selected, row.arm, row.seed)
        tested[key] = stats.images, partial(_localized, stats)
    return _report("localization", results.meta, tested, protocol)


def _classified(table: pd.DataFrame, draws: np.ndarray) -> Measured:
    """Measure one classifier; a type the classifier knows may have no test image."""
    true, predicted = list(table["defect_type"]), list(table["predicted"])
    labels = sorted({*true, *predicted, *json.loads(table["probabilities"].iloc[0])})
    exact = classification_metrics(true, predicted, labels)
    drawn = resampled_types(true, predicted, labels, draws)
    names = {(ALL, name): name for name in ("macro_f1", "accuracy")}
    names |= {(kind, "f1"): f"f1.{kind}" for kind in sorted(set(true))}
    return {place: (exact[name], drawn[name]) for place, name in names.items()}


def _localized(stats: LocalizationStats, draws: np.ndarray) -> Measured:
    """Measure one localizer over all types, then over each."""
    measured: Measured = {}
    for kind in (None, *stats.defect_types):
        exact, drawn = stats.metrics(kind), stats.resampled(draws, kind)
        measured |= {(kind or ALL, name): (exact[name], drawn[name]) for name in exact}
    return measured


def _report(
    task: str, meta: pd.DataFrame, tested: Mapping[Any, Tested], protocol: ProtocolOptions
) -> pd.DataFrame:
    """The rows of every category; `tested` is by corpus, category, selected, arm and seed."""
    rows: list[dict[str, Any]] = []
    for key, trainings in meta.groupby(_KEYS, sort=False):
        runs = {name[3:]: one for name, one in tested.items() if name[:3] == key}
        images = _shared_images({run: table for run, (table, _) in runs.items()}, trainings)
        groups, types = list(images["group"]), list(images["defect_type"])
        # The same resampled test sets for all arms and seeds.
        draws = image_weights(groups, types, protocol.bootstrap, BOOTSTRAP_SEED)
        measured = {run: measure(draws) for run, (_, measure) in runs.items()}
        place = {"task": task, **dict(zip(_KEYS, key, strict=True))}
        rows.extend({**place, **row} for row in _rows(trainings, images, measured, protocol))
    return pd.DataFrame(rows, columns=COLUMNS)


def _shared_images(tables: Mapping[Run, pd.DataFrame], trainings: pd.DataFrame) -> pd.DataFrame:
    """The test images sample_id, group and defect_type.

    Raises:
        InputError: Not every arm has every seed, or two trainings had other test images.
    """
    category = "/".join(trainings[["corpus", "category"]].iloc[0])
    columns = ["sample_id", "group", "defect_type"]
    (first, images), *others = tables.items()
    for run, table in others:
        if not table[columns].equals(images[columns]):
            raise InputError(
                "two trainings were not tested on the same images",
                value=f"{category}: {first} and {run}",
                remedy="run the whole downstream pipeline again",
            )
    seeds = sorted(trainings["seed"].unique())
    for arm, of_arm in trainings.groupby("arm", sort=False)["seed"]:
        if sorted(of_arm) != seeds:
            raise InputError(
                "an arm was not trained once with each seed",
                value=f"{category}, {arm}: {sorted(of_arm)} of {seeds}",
                remedy="run the whole downstream pipeline again",
            )
    return images[columns]


def _rows(
    trainings: pd.DataFrame,
    images: pd.DataFrame,
    measured: Mapping[Run, Measured],
    protocol: ProtocolOptions,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one category, each with what it rests on."""
    seeds = sorted(trainings["seed"].unique())
    weights = seed_weights(len(seeds), protocol.bootstrap, BOOTSTRAP_SEED)
    settings = trainings.drop_duplicates("arm").set_index("arm")[list(SETTINGS)].to_dict("index")
    types, inflated = images["defect_type"], (trainings["selected"] == LEGACY).all()
    for kind, metric in next(iter(measured.values())):
        scores = {
            arm: Scores(*zip(*(measured[arm, seed][kind, metric] for seed in seeds), strict=True))
            for arm in settings
        }
        defective = images[types != GOOD] if kind == ALL else images[types == kind]
        numbers = {
            "n_test": len(defective),
            "n_groups": defective["group"].nunique(),
            "n_good": int((types == GOOD).sum()),
        }
        warnings = ["inflated: checkpoint chosen on the test set"] if inflated else []
        base = float(np.mean(scores["base"].exact)) if "base" in scores else 0.0
        for row in compare(scores, weights, protocol.confidence):
            notes = [*warnings]
            if np.isnan(row["value"]):
                notes.append(_undefined(metric, numbers["n_test"], numbers["n_good"]))
            if base > protocol.ceiling:
                notes.append(f"base arm at {base:.2f}: too near its ceiling to show anything")
            yield {
                "defect_type": kind,
                "metric": metric,
                **row,
                **numbers,
                "seeds": len(seeds),
                **settings[row["arm"]],
                "note": "; ".join(notes),
            }


def _undefined(metric: str, n_test: int, n_good: int) -> str:
    """Say why a metric has no value."""
    if n_test == 0:
        return "not defined: no defective images in the test set"
    if metric.startswith("image_") and n_good == 0:
        return "not defined: no good images in the test set"
    return "not defined on this test set"
