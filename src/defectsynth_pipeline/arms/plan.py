"""The training plan: every row of every arm's training set, decided before anything is trained.

All arms of a category have equally many rows, and share the real and the normal ones, so that they
differ by the arm's own images alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from defectsynth_pipeline.arms.arm import (
    NORMALS_ONLY,
    TASKS,
    Arm,
    Recipe,
    Types,
    draws,
    made_of,
    pick,
)
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.base import base_ids, normal_ids
from defectsynth_pipeline.arms.registry import parse
from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.options import SetOptions
from defectsynth_pipeline.schemas import own_columns

_log = logging.getLogger(__name__)


def plan_training(
    bank: Bank, names: Sequence[str], task: str, set_options: SetOptions
) -> pd.DataFrame:
    """Return a row per training image of every category and arm.

    Columns: task, corpus, category, arm, row (0 .. n-1), kind ("real", "normal" or "own"),
    defect_type, source, sources (sample_ids of all real images in it, joined by "|"), recipe
    (JSON). First come the real rows, then the normals, then the arm's own. Draws depend on
    `bank.options.seed`, category, arm and place alone; arms made of one another share images.

    Args:
        bank: What arms draw from.
        names: Arms; one that is not made for the task is left out with a warning.
        task: classification or localization.
        set_options: Numbers of rows; classification has no normals.

    Raises:
        InputError: An arm is not known or has nothing to plan from, a source is a test image, or
            no longer in `samples`.
    """
    arms = _arms(names, task)
    skipped = skipped_categories(bank.samples, task)
    for category, reason in skipped.items():
        _log.warning("%s is left out of %s: %s", category, task, reason)
    categories = sorted(set(map(str, bank.samples["category"])) - set(skipped))
    rows = [row for name in categories for row in _category(bank, name, arms, task, set_options)]
    for sample_id in sorted({name for row in rows for name in row["sources"].split("|") if name}):
        bank.sample(sample_id)  # the guard against test images
    return pd.DataFrame(rows, columns=own_columns("localization_plan"))


def make_example(bank: Bank, row: Mapping[str, Any]) -> Example:
    """Return the image and mask of one row of the plan, its values by column."""
    if row["kind"] != "own":
        return bank.example(row["source"])
    return parse(row["arm"]).make(bank, json.loads(row["recipe"]))


def skipped_categories(samples: pd.DataFrame, task: str) -> dict[str, str]:
    """Return, per category that cannot take part in a task, the reason."""
    base = samples[samples["split"] == "base"]
    types = base.groupby("category")["defect_type"].nunique()
    reasons = {}
    for category in sorted(set(map(str, samples["category"]))):
        count = int(types.get(category, 0))
        if count == 0:
            reasons[category] = "no base samples of a defect"
        elif task == "classification" and count < 2:
            reasons[category] = "one defect type only, so there is nothing to tell apart"
    return reasons


def _arms(names: Sequence[str], task: str) -> dict[str, Arm]:
    """Return the arms that can be used for a task, by name."""
    if task not in TASKS:
        raise InputError("unknown task", value=task, remedy=f"use one of {', '.join(TASKS)}")
    arms = {name: parse(name) for name in dict.fromkeys(names)}
    for name in [name for name, arm in arms.items() if task not in arm.tasks]:
        _log.warning("the arm %s knows no defect types and is left out of %s", name, task)
        del arms[name]
    if not arms:
        raise InputError(
            f"no arm is left for {task}",
            file="arms.names",
            value=", ".join(names),
            remedy="name at least base",
        )
    return arms


def _category(
    bank: Bank, category: str, arms: Mapping[str, Arm], task: str, options: SetOptions
) -> list[dict[str, Any]]:
    """Return the rows of one category, arm after arm."""
    base = bank.base(category)
    corpus = str(base["corpus"].iloc[0])
    types = sorted(set(map(str, base["defect_type"])))
    count = options.count * (len(types) if options.per == "type" else 1)
    n_normals = options.normals if task == "localization" else 0
    seed = counter_seed(bank.options.seed, category)
    n_real = len(base) if options.real is None else options.real
    shared = _real_rows(bank, category, types, n_real, seed)
    if n_normals:
        normals = normal_ids(bank, category)
        shown = [pick(normals, number, seed, "normals") for number in range(n_normals)]
        shared += [_row("normal", made_of(GOOD, sample)) for sample in shown]
    rows = []
    for name, arm in arms.items():
        recipes = arm.plan(bank, category, types, count, seed)
        if name == NORMALS_ONLY:
            drawn = [_row("normal", recipe) for recipe in recipes]
        else:
            drawn = shared + [_row("own", recipe) for recipe in recipes]
        _log.info("%s, %s: %d rows for %s", category, name, len(drawn), task)
        place = {"task": task, "corpus": corpus, "category": category, "arm": name}
        rows += [place | {"row": number} | row for number, row in enumerate(drawn)]
    return rows


def _real_rows(
    bank: Bank, category: str, types: Types, count: int, seed: int
) -> list[dict[str, Any]]:
    """Return real rows, types in turn; a count as large as the base holds each image once."""
    pools = base_ids(bank, category, types)
    longest = max(map(len, pools.values()))
    once = [
        (name, pick(pools[name], number, seed, "real", name))
        for number in range(longest)
        for name in types
        if number < len(pools[name])
    ]
    again = draws(pools, count - len(once), seed, "real again")
    chosen = [*once[:count], *((name, sample) for _, name, sample in again)]
    return [_row("real", made_of(name, sample)) for name, sample in chosen]


def _row(kind: str, recipe: Recipe) -> dict[str, Any]:
    return {
        "kind": kind,
        "defect_type": recipe["defect_type"],
        "source": recipe["source"],
        "sources": "|".join(recipe["sources"]),
        "recipe": json.dumps(recipe, sort_keys=True),
    }
