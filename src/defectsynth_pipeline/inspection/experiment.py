"""Experiments: one detector per category, arm and seed, all trained and tested alike.

Arms differ in their rows of the plan and in nothing else. For one seed they start from the same
weights, take as many steps, and see their rows in the same order through the same draws. Test
images are read for the final evaluation only, unless `protocol.legacy` asks for the published
habit beside it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, TypeAlias

import numpy as np
import pandas as pd
from torch import nn

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.inspection.augmentation import Augmentation, learn_augmentation
from defectsynth_pipeline.inspection.batches import Shown, TrainingImages, View
from defectsynth_pipeline.inspection.classification import Classification
from defectsynth_pipeline.inspection.detectors import DetectorSet, write_detector
from defectsynth_pipeline.inspection.jobs import (
    BASE,
    FROZEN,
    Detector,
    Job,
    TaskOptions,
    count_synthetic,
    make_jobs,
)
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
    write_finished,
)
from defectsynth_pipeline.inspection.selection import best_length, held_out_groups, without_held_out
from defectsynth_pipeline.inspection.test_set import TestSet, real_test_rows
from defectsynth_pipeline.inspection.training import Fitting, Task, count_steps
from defectsynth_pipeline.options import ClassificationOptions, LocalizationOptions, ProtocolOptions
from defectsynth_pipeline.resumable import OnMetrics

# Of a test's metrics those that are told at once; the report has all, and those of the types.
_TOLD = {"accuracy", "macro_f1", "image_auroc", "pixel_ap", "pixel_f1", "pro", "score"}

log = logging.getLogger(__name__)
Track: TypeAlias = Callable[[str, Mapping[str, object]], AbstractContextManager[OnMetrics]]
HELD_OUT = "held_out_score"
OVERLAYS = 4  # test images per category whose score maps are kept


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
        plan: From `arms.plan.plan_training`.
        bank: What the plan was made from.
        options: Scale and training.
        protocol: Seeds and how a step is chosen.
        folder: Work folder of this experiment alone: each training is kept in
            `<fingerprint>/`, a running one in `<fingerprint>.pt`; those of other plans and
            options are removed.
        track: Opened per training as track(name, parameters); yields what is called with
            (step, values).

    Returns:
        The detectors of the first seed, the predictions of all, and the training curves; all
        empty where the plan is, since no category may have two defect types.

    Raises:
        InputError: No test images, or a training diverged.
    """
    done, meta, detectors, curves = _run(
        Classification, plan, bank, options, protocol, folder, track
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
) -> tuple[DetectorSet, LocalizationResults, pd.DataFrame]:
    """Train and test the localizers of all categories, arms and seeds.

    Arguments, return value and errors are those of `run_classification`.
    """
    done, meta, detectors, curves = _run(Localization, plan, bank, options, protocol, folder, track)
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
    found_by = options.training.model_dump(include={"batch_size", "learning_rate"})
    found_by["select"] = protocol.select
    done: list[tuple[Job, Finished[Result]]] = []
    curves, meta = [pd.DataFrame(columns=["task", *WHERE, "fold", "step", "loss", HELD_OUT])], []
    places = groupby(jobs, lambda job: (job.corpus, job.category, job.detector))
    for (corpus, category, detector), of_detector in places:
        trainer = _Trainer(kind, detector, corpus, category, bank, protocol, folder)
        held_out = float("nan")
        for job in of_detector:
            curve = pd.concat(curves, ignore_index=True)
            of_arm = (curve["category"] == category) & (curve["arm"] == job.arm)
            of_arm &= (curve["detector"] == job.network) & (curve["fold"] >= 0)
            length, score = best_length(curve[of_arm].rename(columns={HELD_OUT: "score"}))
            facts = trainer.facts(job, length if protocol.select == "validation" else 0)
            told = {"task": kind.name, **facts, **found_by}
            with track(f"{kind.name} {job.name}", told) as on_metrics:
                finished: Finished[Result] = _trained(trainer, job, facts, folder, on_metrics)
            where = {"task": kind.name, **job.where, "fold": -1 if job.fold is None else job.fold}
            curves.append(pd.DataFrame({**where, **finished.history}))
            if job.fold is None:
                done.append((job, finished))
                held_out = score if job.arm == BASE else held_out
        of_place = [f for j, f in done if (j.category, j.detector) == (category, detector)]
        meta += [row | {"held_out": held_out} for f in of_place for row in f.meta]
    detectors = DetectorSet(
        {
            (j.corpus, j.category, j.network, j.arm): f.detector
            for j, f in done
            if f.detector is not None
        }
    )
    curve = pd.concat(curves, ignore_index=True)
    return done, pd.DataFrame(meta, columns=list(META_COLUMNS)), detectors, curve


def _trained(
    trainer: _Trainer[Result],
    job: Job,
    facts: Mapping[str, Any],
    folder: Path,
    on_metrics: OnMetrics,
) -> Finished[Result]:
    """Train and test, or read what was done before; either way its metrics are told."""
    before = is_finished(folder, job.key)
    if not before:
        log.info("training %s", job.name)
        write_finished(trainer.train(job, facts, on_metrics), folder, job.key)
    finished: Finished[Result] = read_finished(folder, job.key)
    for row in finished.history.to_dict("records") if before else []:
        step = int(row.pop("step"))
        if known := {str(k): v for k, v in row.items() if math.isfinite(v)}:
            on_metrics(step, known)
    for result in finished.results[:1]:
        metrics = trainer.task_of(job).metrics(result).items()
        tested = {f"test.{n}": v for n, v in metrics if n in _TOLD and math.isfinite(v)}
        on_metrics(facts["steps"], tested)
    return finished


class _Trainer(Generic[Result]):
    """Trains and tests one kind of detector for one category; what arms and seeds share is kept."""

    def __init__(
        self,
        kind: type[Task[Result]],
        detector: Detector,
        corpus: str,
        category: str,
        bank: Bank,
        protocol: ProtocolOptions,
        folder: Path,
    ) -> None:
        self._kind: type[Task[Result]] = kind
        self._detector, self._protocol, self._folder = detector, protocol, folder
        self._base, self._normals = bank.base(category), bank.normals(category)
        self._types = sorted(set(map(str, self._base["defect_type"])))
        self._category, self._seed = category, bank.options.seed
        self._tasks: dict[str, Task[Result]] = {}
        side, square = detector.options.side, kind.square
        self._images = TrainingImages(bank, side, square=square)
        self._open = partial(TestSet, side=side, square=square)
        self._tests = self._open(real_test_rows(bank.samples, corpus, category))

    def task_of(self, job: Job) -> Task[Result]:
        """The task with the network that is trained for a job."""
        if job.network not in self._tasks:
            made = self._kind(self._detector.options, job.network, self._types)
            self._tasks[job.network] = made
        return self._tasks[job.network]

    def facts(self, job: Job, length: int) -> dict[str, Any]:
        """What is known of a training before it begins; `length` in steps, 0 for the full one."""
        training = self._detector.options.training
        steps = length or count_steps(training, len(job.rows))
        return job.where | {
            "role": self._detector.role,
            "steps": 0 if job.network in FROZEN else steps,
            "set_size": len(job.rows),
            "n_synthetic": count_synthetic(job.rows),
            "n_types": len(self._types),
            "n_base": len(self._base) - len(self._held(job, self._base)),
        }

    def train(self, job: Job, facts: Mapping[str, Any], on_metrics: OnMetrics) -> Finished[Result]:
        """Train one detector, test it, and return all that is to be kept.

        Raises:
            InputError: The training diverged, or nothing is left to train on.
        """
        task = self.task_of(job)
        fitted = task.fit(self._fitting(job, facts, on_metrics))
        history = pd.DataFrame(fitted.history.rows or [{"step": 0, "loss": np.nan}])
        if job.fold is not None:
            if job.network in FROZEN:
                history = history.assign(**self._judge(job, fitted.model))
            return Finished([], [], history)
        meta = {**facts, "weights": fitted.origin, "seconds": round(fitted.history.seconds, 1)}
        meta |= {"selected": self._protocol.select, "checkpoint_step": facts["steps"]}
        shown = {sample.sample_id for sample in self._tests.spread(OVERLAYS)} if job.first else ()
        result, overlays = task.evaluate(fitted.model, self._tests, shown)
        metas, results, detector = [meta], [result], None
        if job.first:
            detector = self._folder / f".partial-{job.key}.detector"
            write_detector(fitted.model, task, meta, detector)
        if (legacy := fitted.history.best.get(LEGACY)) is not None:
            metas.append({**meta, "selected": LEGACY, "checkpoint_step": legacy.step})
            fitted.model.load_state_dict(legacy.state)
            results.append(task.evaluate(fitted.model, self._tests, ())[0])
        return Finished(metas, results, history, overlays, detector)

    def _fitting(self, job: Job, facts: Mapping[str, Any], on_metrics: OnMetrics) -> Fitting:
        seen = pd.concat([self._base, self._normals])
        held = frozenset(self._held(job, seen)["sample_id"])
        rows = without_held_out(job.rows, held) if held else job.rows
        judged = job.fold is not None or self._protocol.legacy
        curve = job.fold is not None and self._protocol.select == "validation"
        shares = self._protocol.shares
        return Fitting(
            shown=Shown(
                self._images.views(rows),
                list(rows["kind"]),
                None if shares is None else shares.by_kind(),
                self._augmentation,
            ),
            rows=rows,
            normals=lambda: self._good,
            seed=job.seed,
            start=counter_seed(job.seed, job.category),
            steps=facts["steps"],
            checkpoint=self._folder / f"{job.key}.pt",
            on_metrics=on_metrics,
            judge=partial(self._judge, job) if judged else None,
            # Without a curve to be read, the last step alone is judged.
            judge_every=None if curve or self._protocol.legacy else max(1, facts["steps"]),
            patience=self._protocol.patience if curve else None,
            name=f"{self._kind.name} / {job.name}",
        )

    @cached_property
    def _good(self) -> list[View]:
        return self._images.real(list(self._normals["sample_id"]))

    @cached_property
    def _augmentation(self) -> Augmentation:
        views = self._images.real(list(self._base["sample_id"])) + self._good
        images = [view.image for view in views]
        return learn_augmentation(images, self._protocol.augment, self._category)

    @cached_property
    def _folds(self) -> list[frozenset[str]]:
        protocol = self._protocol
        return held_out_groups(self._base, protocol.validation_share, protocol.folds, self._seed)

    def _held(self, job: Job, rows: pd.DataFrame) -> pd.DataFrame:
        """Those of some samples that a job's fold does not see: none where it has no fold."""
        groups = frozenset[str]() if job.fold is None else self._folds[job.fold]
        return rows[rows["group"].isin(groups)]

    def _judge(self, job: Job, model: nn.Module) -> dict[str, float]:
        task, scores = self.task_of(job), {}
        if job.fold is not None:
            held, _ = task.evaluate(model, self._open(self._held(job, self._base)), ())
            scores[HELD_OUT] = task.metrics(held)["score"]
        elif self._protocol.legacy:
            result, _ = task.evaluate(model, self._tests, ())
            scores[LEGACY] = task.metrics(result)[task.legacy]
        return scores
