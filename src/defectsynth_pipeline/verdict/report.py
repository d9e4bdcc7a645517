"""Metrics per arm with intervals, and paired differences to the controls, in long form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.results import (
    LEGACY,
    ClassificationResults,
    LocalizationResults,
)
from defectsynth_pipeline.measures.classification import classification_metrics
from defectsynth_pipeline.measures.classification import resampled as resampled_types
from defectsynth_pipeline.measures.detection import LocalizationStats
from defectsynth_pipeline.measures.resampling import image_weights
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import ALL, COLUMNS
from defectsynth_pipeline.verdict.report_rows import (
    BOOTSTRAP_SEED,
    Measured,
    Run,
    report_rows,
)

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
    rows: list[dict[str, Any]] = []
    for key, meta in results.meta.groupby(_KEYS, sort=False):
        said = results.predictions[(results.predictions[_KEYS] == list(key)).all(axis=1)]
        tables = {
            (arm, seed): table.sort_values("sample_id").reset_index(drop=True)
            for (arm, seed), table in said.groupby(["arm", "seed"], sort=False)
        }
        images = _same_images(tables, f"{key[0]}/{key[1]}")
        draws = _draws(images, protocol)
        measured = {run: _classified(table, draws) for run, table in tables.items()}
        place = dict(zip(_KEYS, key, strict=True))
        rows.extend(report_rows("classification", place, meta, images, measured, protocol))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def localization_report(results: LocalizationResults, protocol: ProtocolOptions) -> pd.DataFrame:
    """All metrics of `LocalizationStats`, over all types and over each type with the good images.

    Values are exact; intervals of pixel metrics come from histograms of 1024 levels. Arguments,
    result and errors are those of `classification_report`.
    """
    rows: list[dict[str, Any]] = []
    for key, meta in results.meta.groupby(_KEYS, sort=False):
        kept = results.legacy if key[2] == LEGACY else results.stats
        stats = {name[2:]: one for name, one in kept.items() if name[:2] == key[:2]}
        images = _same_images({run: s.images for run, s in stats.items()}, f"{key[0]}/{key[1]}")
        draws = _draws(images, protocol)
        measured = {run: _localized(one, draws) for run, one in stats.items()}
        place = dict(zip(_KEYS, key, strict=True))
        rows.extend(report_rows("localization", place, meta, images, measured, protocol))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _classified(table: pd.DataFrame, draws: np.ndarray) -> Measured:
    """Measure one classifier; a type the classifier knows may have no test image."""
    true, said = list(table["defect_type"]), list(table["predicted"])
    labels = sorted({*true, *said, *json.loads(table["probabilities"].iloc[0])})
    exact = classification_metrics(true, said, labels)
    drawn = resampled_types(true, said, labels, draws)
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


def _draws(images: pd.DataFrame, protocol: ProtocolOptions) -> np.ndarray:
    """Resampled test sets (R, N), the same for all arms and seeds."""
    groups, types = list(images["group"]), list(images["defect_type"])
    return image_weights(groups, types, protocol.bootstrap, BOOTSTRAP_SEED)


def _same_images(tables: Mapping[Run, pd.DataFrame], category: str) -> pd.DataFrame:
    """The test images sample_id, group and defect_type, after a check that all runs share them."""
    columns = ["sample_id", "group", "defect_type"]
    (first, images), *others = tables.items()
    for run, table in others:
        if not table[columns].equals(images[columns]):
            raise InputError(
                "two trainings were not tested on the same images",
                value=f"{category}: {first} and {run}",
                remedy="run the whole downstream pipeline again",
            )
    return images[columns]
