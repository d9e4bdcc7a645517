"""Experiments: one detector per category, arm and seed, all trained and tested alike.

Arms differ in their rows of the plan and in nothing else. For one seed they start from the same
weights, take as many steps, and see their rows in the same order through the same draws. Test
images are read for the final evaluation only, unless `protocol.legacy` asks for the published
habit beside it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.classification import Classification
from defectsynth_pipeline.inspection.detectors import DetectorSet
from defectsynth_pipeline.inspection.jobs import BASE, Job, TaskOptions, make_jobs
from defectsynth_pipeline.inspection.localization import Localization
from defectsynth_pipeline.inspection.results import (
    LEGACY,
    META_COLUMNS,
    PREDICTION_COLUMNS,
    WHERE,
    ClassificationResults,
    Finished,
    LocalizationResults,
    Result,
    is_finished,
    read_finished,
    remove_others,
)
from defectsynth_pipeline.inspection.selection import best_length
from defectsynth_pipeline.inspection.task import Task
from defectsynth_pipeline.inspection.test_set import real_test_rows
from defectsynth_pipeline.inspection.trainer import HELD_OUT, Workbench
from defectsynth_pipeline.options import ClassificationOptions, LocalizationOptions, ProtocolOptions
from defectsynth_pipeline.resumable import OnMetrics, Progress
from defectsynth_pipeline.workers import Map

# Of a test's metrics those that are told at once; the report has all, and those of the types.
_TOLD = {"accuracy", "macro_f1", "image_auroc", "pixel_ap", "pixel_f1", "pro", "score"}

log = logging.getLogger(__name__)
_NONE = (0, math.nan)  # length and score where nothing was held out
Track: TypeAlias = Callable[[str, Mapping[str, object]], AbstractContextManager[OnMetrics]]


def run_classification(
    plan: pd.DataFrame,
    bank: Bank,
    options: ClassificationOptions,
    protocol: ProtocolOptions,
    folder: Path,
    track: Track,
    each: Map = map,
) -> tuple[DetectorSet, ClassificationResults, pd.DataFrame]:
    """Train and test the classifiers of all categories, arms and seeds.

    Args:
        plan: From `arms.plan.plan_training`.
        bank: What the plan was made from.
        options: Scale and training.
        protocol: Seeds and how a step is chosen.
        folder: Work folder of this experiment alone: each training is kept in
            `<fingerprint>/`, a running one in `<fingerprint>.pt`; those of other plans and
            options are removed.
        track: Opened per training as track(name, parameters); yields what is called with
            (step, values).
        each: Calls a function with every training; its results in their order.

    Returns:
        The detectors of the first seed, the predictions of all, and the training curves; all
        empty where the plan is, since no category may have two defect types.

    Raises:
        InputError: No test images, or a training diverged.
    """
    done, meta, detectors, curves = _run(
        Classification, plan, bank, options, protocol, folder, track, each
    )
    tables = [] if done else [pd.DataFrame(columns=list(PREDICTION_COLUMNS))]
    for _, finished in done:
        for row, result in zip(finished.meta, finished.results, strict=True):
            where = {name: row[name] for name in (*WHERE, "selected")}
            tables.append(pd.DataFrame(where | dict(result)))
    return detectors, ClassificationResults(meta, pd.concat(tables, ignore_index=True)), curves


def run_localization(
    plan: pd.DataFrame,
    bank: Bank,
    options: LocalizationOptions,
    protocol: ProtocolOptions,
    folder: Path,
    track: Track,
    each: Map = map,
) -> tuple[DetectorSet, LocalizationResults, pd.DataFrame]:
    """Train and test the localizers of all categories, arms and seeds.

    Arguments, return value and errors are those of `run_classification`.
    """
    done, meta, detectors, curves = _run(
        Localization, plan, bank, options, protocol, folder, track, each
    )
    if not done:
        raise InputError(
            "nothing to train: no category has base samples of a defect",
            value=f"{len(plan)} rows in the plan",
            remedy="see the log for why categories were left out",
        )
    results = LocalizationResults(meta, {})
    for job, finished in done:
        where = (job.corpus, job.category, job.network, job.arm)
        for row, stats in zip(finished.meta, finished.results, strict=True):
            table = results.legacy if row["selected"] == LEGACY else results.stats
            key = (*where, job.seed)
            table[key] = stats
        if finished.overlays:
            results.overlays[where] = finished.overlays
    return detectors, results, curves


def _run(
    kind: type[Task[Result]],
    plan: pd.DataFrame,
    bank: Bank,
    options: TaskOptions,
    protocol: ProtocolOptions,
    folder: Path,
    track: Track,
    each: Map = map,
) -> tuple[list[tuple[Job, Finished[Result]]], pd.DataFrame, DetectorSet, pd.DataFrame]:
    """Return every training of whole arms in order, from the work folder where it is done already.

    Returns:
        The trainings, their `META_COLUMNS`, the detectors of the first seed, and the curves: task,
        `WHERE`, fold (-1 where nothing is held out), step, loss and the criteria that were judged.
    """
    jobs = make_jobs(kind.name, plan, bank, options, protocol)
    for corpus, category in {(job.corpus, job.category) for job in jobs}:
        real_test_rows(bank.samples, corpus, category)  # fails now rather than after an hour
    remove_others(folder, {job.key for job in jobs})
    there = sum(is_finished(folder, job.key) for job in jobs)
    log.info("%s: %d trainings, %d of them done before", kind.name, len(jobs), there)
    bench = Workbench(kind, bank, protocol, folder)
    lengths = _train_missing(bench, jobs, f"{kind.name}: training", each)
    found_by = options.training.model_dump(include={"batch_size", "learning_rate"})
    found_by["select"] = protocol.select
    done: list[tuple[Job, Finished[Result]]] = []
    curves, meta = [pd.DataFrame(columns=["task", *WHERE, "fold", "step", "loss", HELD_OUT])], []
    for job in jobs:
        length = lengths.get(job.of_arm, _NONE)[0] if protocol.select == "validation" else 0
        facts = bench.trainer(job).facts(job, length)
        told = {"task": kind.name, **facts, **found_by}
        with track(f"{kind.name} {job.name}", told) as on_metrics:
            finished: Finished[Result] = read_finished(folder, job.key)
            _tell(bench.trainer(job).task_of(job), finished, facts["steps"], on_metrics)
        where = {"task": kind.name, **job.where, "fold": -1 if job.fold is None else job.fold}
        curves.append(pd.DataFrame({**where, **finished.history}))
        if job.fold is None:
            done.append((job, finished))
            of_base = (job.corpus, job.category, job.detector.network, BASE)
            scored = lengths.get(of_base, _NONE)[1]
            meta += [row | {"held_out": scored} for row in finished.meta]
    detectors = DetectorSet(
        {
            (j.corpus, j.category, j.network, j.arm): f.detector
            for j, f in done
            if f.detector is not None
        }
    )
    curve = pd.concat(curves, ignore_index=True)
    return done, pd.DataFrame(meta, columns=list(META_COLUMNS)), detectors, curve


def _train_missing(
    bench: Workbench[Result],
    jobs: Sequence[Job],
    name: str,
    each: Map,
) -> dict[tuple[str, str, str, str], tuple[int, float]]:
    """Train what is not in the work folder; the parts that are held out first, as they may say how
    long the others take. Returns the best length and its score by `Job.of_arm`.
    """
    lengths: dict[tuple[str, str, str, str], tuple[int, float]] = {}
    left = [job for job in jobs if not is_finished(bench.folder, job.key)]
    progress, done = Progress(name, len(left)), 0
    for held_out in (True, False):
        chosen = lengths if bench.protocol.select == "validation" else {}
        given = [
            (job, chosen.get(job.of_arm, _NONE)[0])
            for job in left
            if (job.fold is not None) == held_out
        ]
        for _ in each(bench.train, given) if given else ():
            progress(done := done + 1)
        if held_out:
            folds = [job for job in jobs if job.fold is not None]
            for of_arm, own in groupby(sorted(folds, key=_of_arm), _of_arm):
                curves = [
                    read_finished(bench.folder, one.key).history.assign(fold=one.fold)
                    for one in own
                ]
                curve = pd.concat(curves).rename(columns={HELD_OUT: "score"})
                lengths[of_arm] = best_length(curve)
    return lengths


def _of_arm(job: Job) -> tuple[str, str, str, str]:
    return job.of_arm


def _tell(
    task: Task[Result], finished: Finished[Result], steps: int, on_metrics: OnMetrics
) -> None:
    """Tell the metrics of a training and of its test."""
    for row in finished.history.to_dict("records"):
        step = int(row.pop("step"))
        if known := {str(k): v for k, v in row.items() if math.isfinite(v)}:
            on_metrics(step, known)
    for result in finished.results[:1]:
        metrics = task.metrics(result).items()
        tested = {f"test.{n}": v for n, v in metrics if n in _TOLD and math.isfinite(v)}
        on_metrics(steps, tested)
