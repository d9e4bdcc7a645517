"""Detectors taught by several image sets under the paired protocol: same seeds, order and tests.

Every set is an arm with a work folder of its own, so that a killed comparison goes on with the
training it was in, and another row or number of shots repeats none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from defectsynth_pipeline.ablation.rows import Recipe
from defectsynth_pipeline.arms.bank import open_bank
from defectsynth_pipeline.arms.plan import plan_training
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.inspection.experiment import (
    Track,
    run_classification,
    run_localization,
)
from defectsynth_pipeline.inspection.results import ClassificationResults, LocalizationResults
from defectsynth_pipeline.options import (
    ArmOptions,
    ClassificationOptions,
    LocalizationOptions,
    ProtocolOptions,
    QualityOptions,
)
from defectsynth_pipeline.verdict.report import classification_report, localization_report

OURS = "defectsynth"
OnTask: TypeAlias = Callable[[str, int, float], None]  # task, trainings, seconds
_RUN: dict[str, Callable[..., Any]] = {
    "classification": run_classification,
    "localization": run_localization,
}
_REPORT: dict[str, Callable[..., pd.DataFrame]] = {
    "classification": classification_report,
    "localization": localization_report,
}


@dataclass(frozen=True)
class Judges:
    """How detectors are trained and compared: the options of `downstream`.

    Attributes:
        arms, classification, localization, protocol: Those of its stages.
        quality: How images are measured.
    """

    arms: ArmOptions
    classification: ClassificationOptions
    localization: LocalizationOptions
    protocol: ProtocolOptions
    quality: QualityOptions


class Arm(NamedTuple):
    """A set whose images a detector learns from.

    Attributes:
        name: Of the arm in the report.
        samples: The table `samples` that the set was made from.
        images: The set; what its manifest names is shown.
        masks: The masks it was made with.
        known: Arms that need no set of their own, by their names in `arms.registry`.
    """

    name: str
    samples: pd.DataFrame
    images: ImageSet
    masks: ImageSet
    known: Sequence[str] = ()


def compare_sets(
    arms: Sequence[Arm],
    judges: Judges,
    recipe: Recipe,
    folder: Path,
    track: Track,
    controls: Sequence[str],
    on_task: OnTask,
) -> pd.DataFrame:
    """Train the main detectors of both tasks on every set, and report.

    Args:
        arms: Sets that share their test images; `known` arms are trained beside a set.
        judges: How.
        recipe: How the sets were made.
        folder: Work folder.
        track: As `inspection.experiment` takes it.
        controls: What every arm is compared with: names of other sets, or of known arms.
        on_task: Told of each set and task what was trained and how long that took.

    Returns:
        As `verdict.report`, the sets by their names; a task without a category has no rows.
    """
    protocol = judges.protocol.model_copy(update={"legacy": False})
    found: dict[str, list[Any]] = {task: [] for task in _RUN}
    for arm, (task, run) in product(arms, _RUN.items()):
        options = getattr(judges, task).model_copy(update={"paper": None})
        told = {"accepted_only": True, "external": {}, "ratio": None}
        names = [*arm.known, OURS]
        how = judges.arms.model_copy(update={**told, "names": names})
        bank = open_bank(arm.samples, arm.images, arm.masks, how, recipe.synthesis, recipe.framing)
        plan = plan_training(bank, names, task, options.training_set)
        began, where = time.time(), folder / task / arm.name
        _, results, _ = run(plan, bank, options, protocol, where, track)
        entries = [path.stat().st_mtime for path in where.glob("*/entry.json")]
        on_task(task, sum(moment >= began for moment in entries), time.time() - began)
        found[task].append(_renamed(results, arm.name))
    reports = [_REPORT[task](_joined(of), protocol, controls) for task, of in found.items()]
    return pd.concat(reports, ignore_index=True)


def _renamed(results: Any, name: str) -> Any:
    """The results with the arm of the set called after the set."""
    meta = results.meta.assign(arm=results.meta["arm"].replace(OURS, name))
    if isinstance(results, ClassificationResults):
        table = results.predictions
        return ClassificationResults(meta, table.assign(arm=table["arm"].replace(OURS, name)))
    stats = {
        (corpus, category, detector, name if arm == OURS else arm, seed): found
        for (corpus, category, detector, arm, seed), found in results.stats.items()
    }
    return LocalizationResults(meta, stats)


def _joined(results: Sequence[Any]) -> Any:
    meta = pd.concat([one.meta for one in results], ignore_index=True)
    if isinstance(results[0], ClassificationResults):
        tables = [one.predictions for one in results]
        return ClassificationResults(meta, pd.concat(tables, ignore_index=True))
    return LocalizationResults(meta, {k: s for one in results for k, s in one.stats.items()})
