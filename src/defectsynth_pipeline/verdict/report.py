"""Metrics per arm with intervals, and paired differences to the controls, in long form."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.results import (
    LEGACY,
    ClassificationResults,
    LocalizationResults,
)
from defectsynth_pipeline.measures.classification import chance_metrics, classification_metrics
from defectsynth_pipeline.measures.classification import resampled as resampled_types
from defectsynth_pipeline.measures.detection import LocalizationStats, over_types
from defectsynth_pipeline.measures.resampling import image_weights, seed_weights
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import (
    ALL,
    BASE,
    COLUMNS,
    CONTROLS,
    NORMALS_ONLY,
    SETTINGS,
    Scores,
    compare,
    primary_metric,
)

Run: TypeAlias = tuple[str, str, int]  # detector, arm, seed


class Value(NamedTuple):
    """A metric on the test set, on every resample of it (R,), and by chance (nan: unknown)."""

    exact: float
    resampled: np.ndarray
    chance: float = math.nan


Measured: TypeAlias = dict[tuple[str, str], Value]  # by defect_type and metric
# The test images of a training, and what it measured on them, given resamples (R, N).
Tested: TypeAlias = tuple[pd.DataFrame, Callable[[np.ndarray], Measured]]

BOOTSTRAP_SEED = 0
REPEATED = ("geometric", "photometric")  # arms of what on-line augmentation does in every arm
_PLACE = ["corpus", "category"]
_RUN = ["detector", "arm", "seed"]


def classification_report(
    results: ClassificationResults,
    protocol: ProtocolOptions,
    controls: Sequence[str] = CONTROLS,
) -> pd.DataFrame:
    """Accuracy and macro F1 over all types, and the F1 of each type.

    Args:
        results: Of an experiment.
        protocol: Resamples, confidence and ceiling.
        controls: The arms that every other one is compared with.

    Returns:
        `comparison.COLUMNS`: a row per metric and arm with `against` empty, then one per control.
        Value is the mean over seeds; intervals are over groups of test images within each type,
        and over seeds; `chance` is what the same answers would score, dealt out at random; it is
        given for the primary metric. The same results always give the same report.

    Raises:
        InputError: Arms were not trained with the same seeds, or not tested on the same images.
    """
    tested = {}
    keys = [*_PLACE, "selected", *_RUN]
    for key, rows in results.predictions.groupby(keys, sort=False):
        table = rows.sort_values("sample_id").reset_index(drop=True)
        tested[key] = table, partial(_classified, table)
    return _report("classification", results.meta, tested, protocol, controls)


def localization_report(
    results: LocalizationResults,
    protocol: ProtocolOptions,
    controls: Sequence[str] = CONTROLS,
) -> pd.DataFrame:
    """All metrics of `LocalizationStats`, over all types and over each type with the good images.

    Over all types there is `mean_pixel_ap` too: pixel AP of each type, mean over types. Values are
    exact; intervals of pixel metrics come from histograms of 1024 levels. `normals_only` has its
    own detector, and every other detector's arms are compared with it. Arguments, result and
    errors are those of `classification_report`.
    """
    tested = {}
    for row in results.meta.itertuples():
        kept = results.legacy if row.selected == LEGACY else results.stats
        stats = kept[row.corpus, row.category, row.detector, row.arm, row.seed]
        key = (row.corpus, row.category, row.selected, row.detector, row.arm, row.seed)
        tested[key] = stats.images, partial(_localized, stats)
    return _report("localization", results.meta, tested, protocol, controls)


def mark_derived(report: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Note the rows of `normals_only` where good images were made by removing a defect.

    Such an image may keep traces of the defect, or lack what a photograph of a good part has.

    Args:
        report: From `localization_report` or `classification_report`.
        samples: The table `samples`.
    """
    made = samples[(samples["defect_type"] == GOOD) & (samples["derivation"] != "")]
    known = {(row.corpus, row.category): row.derivation for row in made.itertuples()}
    concerned = (report["arm"] == NORMALS_ONLY) | (report["against"] == NORMALS_ONLY)
    notes = [
        "; ".join(
            text
            for text in (note, how and f"the normals of {NORMALS_ONLY} are derived ({how})")
            if text
        )
        for note, how in (
            (row.note, known.get((row.corpus, row.category), "") if mine else "")
            for row, mine in zip(report.itertuples(), concerned, strict=True)
        )
    ]
    return report.assign(note=notes)


def _classified(table: pd.DataFrame, draws: np.ndarray) -> Measured:
    """Measure one classifier; a type the classifier knows may have no test image."""
    true, predicted = list(table["defect_type"]), list(table["predicted"])
    labels = sorted({*true, *predicted, *json.loads(table["probabilities"].iloc[0])})
    exact = classification_metrics(true, predicted, labels)
    drawn = resampled_types(true, predicted, labels, draws)
    chance = chance_metrics(true, predicted, labels) | {"accuracy": math.nan}
    names = {(ALL, name): name for name in ("macro_f1", "accuracy")}
    names |= {(kind, "f1"): f"f1.{kind}" for kind in sorted(set(true))}
    return {place: Value(exact[n], drawn[n], chance[n]) for place, n in names.items()}


def _localized(stats: LocalizationStats, draws: np.ndarray) -> Measured:
    """Measure one localizer over all types, then over each."""
    measured: Measured = {}
    for kind in (None, *stats.defect_types):
        exact, drawn = stats.metrics(kind), stats.resampled(draws, kind)
        measured |= {(kind or ALL, name): Value(exact[name], drawn[name]) for name in exact}
    single = []
    for kind in stats.defect_types:
        place = kind, primary_metric("localization", kind)
        measured[place] = measured[place]._replace(chance=stats.prevalence(kind))
        single.append(measured[place])
    if not single:
        return measured
    exacts, draws_of, chances = zip(*single, strict=True)
    mean = Value(float(over_types(exacts)), over_types(draws_of), float(over_types(chances)))
    return {(ALL, primary_metric("localization", ALL)): mean} | measured


def _report(
    task: str,
    meta: pd.DataFrame,
    tested: Mapping[Any, Tested],
    protocol: ProtocolOptions,
    controls: Sequence[str],
) -> pd.DataFrame:
    """The rows of every category; `tested` is by corpus, category, selected and `Run`."""
    rows: list[dict[str, Any]] = []
    inflated = meta["selected"] == LEGACY
    for (*place, habit), trainings in meta.groupby([*_PLACE, inflated], sort=False):
        runs: dict[Run, Tested] = {
            name[3:]: one
            for name, one in tested.items()
            if list(name[:2]) == place and (name[2] == LEGACY) == habit
        }
        images = _shared_images({run: table for run, (table, _) in runs.items()}, trainings)
        groups, types = list(images["group"]), list(images["defect_type"])
        # The same resampled test sets for all detectors, arms and seeds.
        draws = image_weights(groups, types, protocol.bootstrap, BOOTSTRAP_SEED)
        measured = {run: measure(draws) for run, (_, measure) in runs.items()}
        where = {"task": task, **dict(zip(_PLACE, place, strict=True))}
        for detector, own in trainings.groupby("detector", sort=False):
            named = {**where, "detector": detector}
            found = _rows(own, images, measured, protocol, controls)
            rows.extend({**named, **row} for row in found)
    return pd.DataFrame(rows, columns=COLUMNS)


def _shared_images(tables: Mapping[Run, pd.DataFrame], trainings: pd.DataFrame) -> pd.DataFrame:
    """The test images sample_id, group and defect_type.

    Raises:
        InputError: Not every arm of a detector has every seed of it, `normals_only` lacks one, or
            two trainings had other test images.
    """
    category = "/".join(trainings[_PLACE].iloc[0])
    columns = ["sample_id", "group", "defect_type"]
    (first, images), *others = tables.items()
    for run, table in others:
        if not table[columns].equals(images[columns]):
            raise InputError(
                "two trainings were not tested on the same images",
                value=f"{category}: {first} and {run}",
                remedy="run the whole downstream pipeline again",
            )
    beside = trainings[trainings["arm"] == NORMALS_ONLY]
    for detector, own in trainings.groupby("detector", sort=False):
        seeds = sorted(own["seed"].unique())
        parts = [*own.groupby("arm", sort=False), *beside.groupby("arm")]
        for arm, of_arm in parts:
            found = sorted(of_arm["seed"])
            shared = arm == NORMALS_ONLY and set(found) >= set(seeds)
            if found != seeds and not shared:
                raise InputError(
                    "an arm was not trained once with each seed",
                    value=f"{category}, {arm}: {found} of {seeds} of {detector}",
                    remedy="run the whole downstream pipeline again",
                )
    return images[columns]


def _rows(
    trainings: pd.DataFrame,
    images: pd.DataFrame,
    measured: Mapping[Run, Measured],
    protocol: ProtocolOptions,
    controls: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one category's detector, each with what it rests on."""
    seeds = sorted(trainings["seed"].unique())
    weights = seed_weights(len(seeds), protocol.bootstrap, BOOTSTRAP_SEED)
    settings = trainings.drop_duplicates("arm").set_index("arm")[list(SETTINGS)].to_dict("index")
    of_arm = {arm: name for name, arm, _ in measured if arm == NORMALS_ONLY}
    of_arm |= dict.fromkeys(settings, str(trainings["detector"].iloc[0]))
    types, inflated = images["defect_type"], (trainings["selected"] == LEGACY).all()
    for kind, metric in next(iter(measured.values())):
        scores = {
            arm: _scores([measured[detector, arm, seed][kind, metric] for seed in seeds])
            for arm, detector in of_arm.items()
        }
        defective = images[types != GOOD] if kind == ALL else images[types == kind]
        numbers = {
            "n_test": len(defective),
            "n_groups": defective["group"].nunique(),
            "n_good": int((types == GOOD).sum()),
        }
        own = {arm: scores[arm] for arm in settings}
        for row in compare(own, weights, protocol.confidence, scores, controls):
            notes = ["inflated: checkpoint chosen on the test set"] if inflated else []
            notes += _notes(row, metric, numbers, scores.get(BASE), protocol)
            yield {
                "defect_type": kind,
                "metric": metric,
                **row,
                **numbers,
                "seeds": len(seeds),
                **settings[row["arm"]],
                "note": "; ".join(notes),
            }


def _scores(values: list[Value]) -> Scores:
    return Scores(*zip(*values, strict=True))


def _notes(
    row: Mapping[str, Any],
    metric: str,
    numbers: Mapping[str, int],
    base: Scores | None,
    protocol: ProtocolOptions,
) -> Iterator[str]:
    """What must be known beside the numbers of one row."""
    if np.isnan(row["value"]):
        yield _undefined(metric, numbers["n_test"], numbers["n_good"])
    level = float(np.mean(base.exact)) if base else 0.0
    if level > protocol.ceiling:
        yield f"base arm at {level:.2f}: too near its ceiling to show anything"
    if row["arm"] in REPEATED and row["against"] == BASE:
        inside = row["difference_low"] <= 0 <= row["difference_high"]
        if inside and abs(row["difference"]) <= row["detectable"]:
            yield (
                "more of the same: every arm is augmented on-line, and the difference to base is "
                "within what this test set could show"
            )


def _undefined(metric: str, n_test: int, n_good: int) -> str:
    """Say why a metric has no value."""
    if n_test == 0:
        return "not defined: no defective images in the test set"
    if metric.startswith("image_") and n_good == 0:
        return "not defined: no good images in the test set"
    return "not defined on this test set"
