"""Experiments: one detector per category, arm and seed, all trained and tested alike.

Arms differ in their rows of the plan and in nothing else. For one seed they start from the same
weights, take as many steps, and see their rows in the same order through the same draws. Test
images are read for the final evaluation only, unless `protocol.legacy` asks for the published
habit beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pandas as pd

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.classification import Classification
from defectsynth_pipeline.inspection.detectors import DetectorSet
from defectsynth_pipeline.inspection.jobs import Job, make_jobs
from defectsynth_pipeline.inspection.localization import Localization
from defectsynth_pipeline.inspection.outcomes import (
    Finished,
    is_finished,
    read_finished,
    remove_others,
    write_finished,
)
from defectsynth_pipeline.inspection.results import (
    LEGACY,
    META_COLUMNS,
    PREDICTION_COLUMNS,
    ClassificationResults,
    LocalizationResults,
)
from defectsynth_pipeline.inspection.runner import CategoryRunner, Result, Track
from defectsynth_pipeline.inspection.task import Task
from defectsynth_pipeline.inspection.test_set import real_test_rows
from defectsynth_pipeline.options import (
    ClassificationOptions,
    LocalizationOptions,
    ProtocolOptions,
)

log = logging.getLogger(__name__)


def run_classification(
    plan: pd.DataFrame,
    bank: Bank,
    options: ClassificationOptions,
    protocol: ProtocolOptions,
    folder: Path,
    track: Track,
) -> tuple[DetectorSet, ClassificationResults, pd.DataFrame]:
    """Train and test the classifiers of all categories, arms and seeds.

    Args:
        plan: From `planning.plan_training`.
        bank: What the plan was made from.
        options: Scale and training.
        protocol: Seeds and how a step is chosen.
        folder: Work folder of this experiment alone: each training is kept in
            `<fingerprint>/`, a running one in `<fingerprint>.pt`; those of other plans and
            options are removed.
        track: Opened per training as track(name, parameters); yields what is called with
            (step, values).

    Returns:
        The detectors of the first seed, what all of them said, and the training curves; all
        empty where the plan is, since no category may have two defect types.

    Raises:
        InputError: No test images, or a training diverged.
    """
    jobs = make_jobs("classification", plan, bank, options, protocol)
    tables = [pd.DataFrame(columns=list(PREDICTION_COLUMNS))] if not jobs else []
    done: list[tuple[Job, Finished[pd.DataFrame]]] = []
    for job, finished in _run(Classification, jobs, bank, options, protocol, folder, track):
        done.append((job, finished))
        for meta, result in zip(finished.meta, finished.results, strict=True):
            names = ("corpus", "category", "arm", "seed", "selected")
            tables.append(pd.DataFrame({name: meta[name] for name in names} | dict(result)))
    results = ClassificationResults(_meta(done), pd.concat(tables, ignore_index=True))
    return _detectors(done), results, _history("classification", done)


def run_localization(
    plan: pd.DataFrame,
    bank: Bank,
    options: LocalizationOptions,
    protocol: ProtocolOptions,
    folder: Path,
    track: Track,
) -> tuple[DetectorSet, LocalizationResults, pd.DataFrame]:
    """Train and test the localizers of all categories, arms and seeds.

    Arguments, return value and errors are those of `run_classification`.
    """
    jobs = make_jobs("localization", plan, bank, options, protocol)
    if not jobs:
        raise InputError(
            "nothing to train: no category has base samples of a defect",
            value=f"{len(plan)} rows in the plan",
            remedy="see the log for why categories were left out",
        )
    done = list(_run(Localization, jobs, bank, options, protocol, folder, track))
    results = LocalizationResults(_meta(done), {})
    for job, finished in done:
        key = (job.corpus, job.category, job.arm, job.seed)
        for meta, stats in zip(finished.meta, finished.results, strict=True):
            (results.legacy if meta["selected"] == LEGACY else results.stats)[key] = stats
        if job.first and finished.overlays:
            results.overlays[job.corpus, job.category, job.arm] = finished.overlays
    return _detectors(done), results, _history("localization", done)


def _run(
    kind: type[Task[Result]],
    jobs: list[Job],
    bank: Bank,
    options: ClassificationOptions | LocalizationOptions,
    protocol: ProtocolOptions,
    folder: Path,
    track: Track,
) -> Iterator[tuple[Job, Finished[Result]]]:
    """Yield every training in order, from the work folder where it is done already."""
    for corpus, category in {(job.corpus, job.category) for job in jobs}:
        real_test_rows(bank.samples, corpus, category)  # fails now rather than after an hour
    remove_others(folder, {job.key for job in jobs})
    there = sum(is_finished(folder, job.key) for job in jobs)
    log.info("%s: %d trainings, %d of them done before", kind.name, len(jobs), there)
    for (corpus, category), of_category in groupby(jobs, lambda job: (job.corpus, job.category)):
        types = sorted(set(bank.base(category)["defect_type"]))
        runner = CategoryRunner(kind(options, types), corpus, category, bank, protocol, folder)
        for _, of_arm in groupby(of_category, lambda job: job.arm):
            for job in of_arm:
                if not is_finished(folder, job.key):
                    log.info("training %d of %d", jobs.index(job) + 1, len(jobs))
                    write_finished(runner.train(job, track), runner.task, folder, job.key)
                else:
                    runner.replay(job, read_finished(runner.task, folder, job.key), track)
                yield job, read_finished(runner.task, folder, job.key)
            runner.images.forget_own()


def _meta(done: list[tuple[Job, Finished[Result]]]) -> pd.DataFrame:
    rows = [row for _, finished in done for row in finished.meta]
    return pd.DataFrame(rows, columns=list(META_COLUMNS))


def _detectors(done: list[tuple[Job, Finished[Result]]]) -> DetectorSet:
    return DetectorSet(
        {
            (job.corpus, job.category, job.arm): finished.detector
            for job, finished in done
            if finished.detector is not None
        }
    )


def _history(task: str, done: list[tuple[Job, Finished[Result]]]) -> pd.DataFrame:
    """Return task, corpus, category, arm, seed, step, loss and the criteria that were judged."""
    tables = [pd.DataFrame(columns=["task", "corpus", "category", "arm", "seed", "step", "loss"])]
    for job, finished in done:
        table = finished.history.copy()
        names = {"task": task, "corpus": job.corpus, "category": job.category}
        for place, (name, value) in enumerate((names | {"arm": job.arm, "seed": job.seed}).items()):
            table.insert(place, name, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
