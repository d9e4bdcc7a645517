"""Which engine makes how many images of a type: what is accepted, and helps to find defects.

Nothing but base and normal samples is looked at.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd

from defectsynth_pipeline.appearance.engines import TRIED, Judged, Made, Tried, try_engines
from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.corpora.split import folds_of
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.inspection import usefulness
from defectsynth_pipeline.options import SynthesisOptions
from defectsynth_pipeline.workers import Map

log = logging.getLogger(__name__)
LEAST_GAIN = 0.02  # pixel AP; engines that differ by less are alike
NEARLY = 0.8  # of the best engine's accepted share, below which another one is left out


def choose_engines(
    samples: pd.DataFrame,
    masks: ImageSet,
    options: SynthesisOptions,
    judge: Callable[[Made], Judged],
    each: Map = map,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Share a type's images between the engines.

    An engine is left out of a type where much less of it is accepted than of the best one, and
    where it helps less than the most helpful one by more than a standard error of either (the rule
    of Breiman et al., "Classification and Regression Trees", 1984); the others take shares in
    proportion to what is accepted.

    Args:
        samples: The table `samples`.
        masks: Generated masks.
        options: `engine` and what it is tried with.
        judge: Says whether an image may be published.
        each: Calls a function with every category; its results in their order.

    Returns:
        `engine_choice`, a row per type and engine: category, defect_type, engine, tried, accepted
        (share of them), gain and error (as `usefulness`; all nan where nothing was tried), share
        (of the type's images); and `engine_trials`, as `usefulness` gives it.
    """
    kinds = masks.manifest[["category", "defect_type"]].drop_duplicates().astype(str)
    if options.engine != "auto":
        fixed = TRIED if options.engine == "mixture" else (options.engine,)
        choice = kinds.sort_values(["category", "defect_type"]).merge(
            pd.DataFrame({"engine": fixed, "share": 1 / len(fixed)}), how="cross"
        )
        untried = choice.assign(tried=0, accepted=np.nan, gain=np.nan, error=np.nan)
        return untried[list(_COLUMNS)], pd.DataFrame(columns=list(usefulness.COLUMNS))
    choose = partial(_choose, samples=samples, masks=masks, options=options, judge=judge)
    found = list(each(choose, sorted(set(kinds["category"]))))
    choices, tables = (pd.concat(part, ignore_index=True) for part in zip(*found, strict=True))
    return choices, tables


def _choose(
    category: str,
    *,
    samples: pd.DataFrame,
    masks: ImageSet,
    options: SynthesisOptions,
    judge: Callable[[Made], Judged],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables of one category."""
    rows = samples[samples["category"] == category].sort_values("sample_id")
    base = list(each_sample(rows[rows["split"] == "base"]))
    normals = list(each_sample(rows[rows["split"] == "normal"]))
    outcomes: Counter[tuple[str, str, bool]] = Counter()
    folds = folds_of(base, usefulness.FOLDS)
    held = dict(zip((sample.sample_id for sample in base), folds, strict=True))
    trials = _counted(try_engines(rows, masks, options, judge, held), outcomes)
    table = usefulness.usefulness(base, normals, folds, trials, options.seed)
    measured = table.set_index(["defect_type", "candidate"])
    made = masks.manifest[masks.manifest["category"].astype(str) == category]
    choices = []
    for kind in sorted(set(made["defect_type"].astype(str))):
        keys = [(kind, engine) for engine in TRIED]
        passed = np.array([outcomes[kind, engine, True] for engine in TRIED])
        tried = passed + [outcomes[kind, engine, False] for engine in TRIED]
        told = pd.DataFrame({"engine": TRIED, "tried": tried})
        told["accepted"] = passed / np.maximum(tried, 1)
        told[["gain", "error"]] = measured.reindex(keys)[["gain", "error"]].to_numpy()
        told["share"] = _shares(told, f"{category}/{kind}")
        choices.append(told.assign(category=category, defect_type=kind)[list(_COLUMNS)])
    return pd.concat(choices, ignore_index=True), table


_COLUMNS = ("category", "defect_type", "engine", "tried", "accepted", "gain", "error", "share")


def _counted(trials: Iterator[Tried], outcomes: Counter[tuple[str, str, bool]]) -> Iterator[Tried]:
    """Trials as they come; how many of a type and engine were accepted is noted."""
    for trial in trials:
        outcomes[trial.defect_type, trial.engine, trial.accepted] += 1
        yield trial


def _shares(told: pd.DataFrame, name: str) -> pd.Series:
    """Of the engines of one type, adding up to 1."""
    accepted = told["accepted"]
    if not accepted.any():
        log.warning("%s: no engine made an image that is accepted", name)
        return pd.Series(1 / len(told), told.index)
    left = accepted >= NEARLY * accepted.max() - 1e-9
    if told.loc[left, "gain"].notna().any():
        best = told.loc[told.loc[left, "gain"].idxmax()]
        error = np.maximum(told["error"].fillna(0.0), np.nan_to_num(best["error"]))
        error = np.maximum(error, LEAST_GAIN)
        if best["gain"] + error[best.name] < 0:
            message = "%s: no engine's images help to find the real defects held out (%s: %+.2f)"
            log.warning(message, name, best["engine"], best["gain"])
        left &= ~(told["gain"] < best["gain"] - error)
    kept = accepted.where(left, 0.0)
    return kept / kept.sum()
