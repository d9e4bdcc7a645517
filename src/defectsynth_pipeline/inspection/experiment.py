"""Experiments: one detector per category, arm and seed, all trained and tested alike.

Arms differ in their rows of the plan and in nothing else. For one seed they start from the same
weights, take as many steps, and see their rows in the same order through the same draws. Test
images are read for the final evaluation only, unless `protocol.legacy` asks for the published
habit beside it.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, TypeAlias

import pandas as pd
import torch
from torch import nn

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features.weights import weights_file
from defectsynth_pipeline.fingerprints import code_fingerprint, counter_seed, fingerprint
from defectsynth_pipeline.inspection.batches import TrainingImages, View
from defectsynth_pipeline.inspection.classification import Classification
from defectsynth_pipeline.inspection.detectors import DetectorSet, write_detector
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
from defectsynth_pipeline.inspection.selection import held_out_groups, without_held_out
from defectsynth_pipeline.inspection.test_set import TestSet, real_test_rows
from defectsynth_pipeline.inspection.training import Task, count_steps, train
from defectsynth_pipeline.options import ClassificationOptions, LocalizationOptions, ProtocolOptions
from defectsynth_pipeline.resumable import OnMetrics

log = logging.getLogger(__name__)
Track: TypeAlias = Callable[[str, Mapping[str, object]], AbstractContextManager[OnMetrics]]
VALIDATION = "validation_loss"
OVERLAYS = 4  # test images per category whose score maps are kept
# Whose code decides what a training set shows, how it is learnt from, and what is measured.
ROOMS = ("imaging", "corpora", "shape", "appearance", "compact", "arms", "measures", "inspection")
_PLAIN = {"defect_type", "source", "sources"}


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
        key = (job.corpus, job.category, job.arm, job.seed)
        for row, stats in zip(finished.meta, finished.results, strict=True):
            (results.legacy if row["selected"] == LEGACY else results.stats)[key] = stats
        if finished.overlays:
            results.overlays[job.corpus, job.category, job.arm] = finished.overlays
    return detectors, results, curves


def _run(
    kind: type[Task[Result]],
    plan: pd.DataFrame,
    bank: Bank,
    options: ClassificationOptions | LocalizationOptions,
    protocol: ProtocolOptions,
    folder: Path,
    track: Track,
) -> tuple[list[tuple[Job, Finished[Result]]], pd.DataFrame, DetectorSet, pd.DataFrame]:
    """Return every training in order, taken from the work folder where it is done already.

    Returns:
        The trainings, their `META_COLUMNS`, the detectors of the first seed, and the curves: task,
        corpus, category, arm, seed, step, loss and the criteria that were judged.
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
    for (corpus, category), of_category in groupby(jobs, lambda job: (job.corpus, job.category)):
        task = kind(options, sorted(set(bank.base(category)["defect_type"])))
        trainer = _Trainer(task, corpus, category, bank, protocol, folder)
        for job in of_category:
            name = f"{task.name} / {category} / {job.arm} / seed {job.seed}"
            facts = job.where | {
                "steps": count_steps(task.training, len(job.rows)),
                "set_size": len(job.rows),
                "n_synthetic": count_synthetic(job.rows),
                "n_types": len(task.types),
            }
            with track(name, {"task": task.name, **facts, **found_by}) as on_metrics:
                before = is_finished(folder, job.key)
                if not before:
                    log.info("training %d of %d", len(done) + 1, len(jobs))
                    write_finished(trainer.train(job, name, facts, on_metrics), folder, job.key)
                finished: Finished[Result] = read_finished(folder, job.key)
                for row in finished.history.to_dict("records") if before else []:
                    step = int(row.pop("step"))
                    on_metrics(step, {str(k): v for k, v in row.items() if math.isfinite(v)})
                metrics = task.metrics(finished.results[0]).items()
                tested = {f"test.{name}": value for name, value in metrics if math.isfinite(value)}
                on_metrics(facts["steps"], tested)
            done.append((job, finished))
    meta = pd.DataFrame([m for _, f in done for m in f.meta], columns=list(META_COLUMNS))
    detectors = DetectorSet(
        {(j.corpus, j.category, j.arm): f.detector for j, f in done if f.detector is not None}
    )
    curves = [pd.DataFrame(columns=["task", *WHERE, "step", "loss"])]
    curves += [pd.DataFrame({"task": kind.name, **job.where, **f.history}) for job, f in done]
    return done, meta, detectors, pd.concat(curves, ignore_index=True)


class _Trainer(Generic[Result]):
    """Trains and tests the detectors of one category; what arms and seeds share is read once."""

    def __init__(
        self,
        task: Task[Result],
        corpus: str,
        category: str,
        bank: Bank,
        protocol: ProtocolOptions,
        folder: Path,
    ) -> None:
        self._task: Task[Result] = task
        self._protocol, self._folder = protocol, folder
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._images = TrainingImages(bank, task.side, square=task.square)
        tests = real_test_rows(bank.samples, corpus, category)
        self._tests = TestSet(tests, task.side, square=task.square)
        base = bank.base(category)
        self._held, self._validating = frozenset[str](), base.iloc[:0]
        if protocol.select == "validation":
            groups = held_out_groups(base, protocol.validation_share, bank.options.seed)
            every = pd.concat([base, bank.normals(category)])
            self._held = frozenset(every[every["group"].isin(groups)]["sample_id"])
            self._validating = base[base["group"].isin(groups)]
        self._n_base = len(base) - len(self._validating)

    def train(
        self, job: Job, name: str, facts: Mapping[str, Any], on_metrics: OnMetrics
    ) -> Finished[Result]:
        """Train one detector, test it, and return all that is to be kept.

        Raises:
            InputError: The training diverged, or nothing is left to train on.
        """
        task, training = self._task, self._task.training
        torch.manual_seed(counter_seed(job.seed, job.category))
        model, origin = task.build(task.network, len(task.types), training.weights)
        model = model.to(self._device)
        rows = without_held_out(job.rows, self._held) if self._held else job.rows
        history = train(
            model,
            task.batches(self._images.views(rows), rows, job.seed),
            task.loss,
            training,
            facts["steps"],
            self._folder / f"{job.key}.pt",
            on_metrics,
            self._judge if self._protocol.select == "validation" or self._protocol.legacy else None,
            name,
        )
        found = {"weights": origin, "seconds": round(history.seconds, 1), "n_base": self._n_base}
        choice = {"selected": "last", "checkpoint_step": facts["steps"]}
        if (best := history.best.get(VALIDATION)) is not None:
            choice = {"selected": "validation", "checkpoint_step": best.step}
            model.load_state_dict(best.state)
        meta = [{**facts, **found, **choice}]
        shown = {sample.sample_id for sample in self._tests.spread(OVERLAYS)} if job.first else ()
        result, overlays = task.evaluate(model, self._tests, shown)
        results, detector = [result], None
        if job.first:
            detector = self._folder / f".partial-{job.key}.detector"
            write_detector(model, task, meta[0], detector)
        if (legacy := history.best.get(LEGACY)) is not None:
            meta.append({**meta[0], "selected": LEGACY, "checkpoint_step": legacy.step})
            model.load_state_dict(legacy.state)
            results.append(task.evaluate(model, self._tests, ())[0])
        return Finished(meta, results, pd.DataFrame(history.rows), overlays, detector)

    @cached_property
    def _validation(self) -> list[View]:
        return self._images.real(list(self._validating["sample_id"]))

    def _judge(self, model: nn.Module) -> dict[str, float]:
        scores = {}
        if self._protocol.select == "validation":
            types = list(self._validating["defect_type"])
            scores[VALIDATION] = self._task.validation_loss(model, self._validation, types)
        if self._protocol.legacy:
            result, _ = self._task.evaluate(model, self._tests, ())
            scores[LEGACY] = 1 - self._task.metrics(result)[self._task.legacy]
        return scores


@dataclass(frozen=True, eq=False)
class Job:
    """One training.

    Attributes:
        corpus, category, arm, seed: What it is.
        rows: Its rows of the plan, in order.
        first: Whether it is the first seed, whose detector and overlays are kept.
        key: Fingerprint of all that decides its outcome.
    """

    corpus: str
    category: str
    arm: str
    seed: int
    rows: pd.DataFrame
    first: bool
    key: str

    @property
    def where(self) -> dict[str, Any]:
        """Its corpus, category, arm and seed by name."""
        return {name: getattr(self, name) for name in WHERE}


def make_jobs(
    task: str,
    plan: pd.DataFrame,
    bank: Bank,
    options: ClassificationOptions | LocalizationOptions,
    protocol: ProtocolOptions,
) -> list[Job]:
    """Return the trainings, seeds within arms within categories, in the plan's order.

    Only what decides an outcome is in the fingerprint: changing the number of bootstrap
    resamples, or adding an arm or a seed, repeats no training.

    Raises:
        InputError: `training.weights` names a file that is missing.
    """
    rows = plan[plan["task"] == task]
    how = protocol.model_dump(include={"select", "validation_share", "legacy"})
    network = (
        options.encoder if isinstance(options, LocalizationOptions) else Classification.network
    )
    weights = weights_file(network, options.training.weights)  # "auto" may find another next time
    begin = weights and (weights.name, weights.stat().st_size)
    jobs = []
    for (corpus, category), of_category in rows.groupby(["corpus", "category"], sort=False):
        tables = (bank.samples, bank.synthetic.manifest, bank.masks.manifest)
        material = [t[t["category"] == category] if "category" in t else t for t in tables]
        for arm, of_arm in of_category.groupby("arm", sort=False):
            shown = of_arm.sort_values("row").reset_index(drop=True)
            parts = (task, shown, options, begin, how, *material, bank.synthesis, bank.framing)
            external = list(_external(bank, str(arm)))
            of_seeds = fingerprint(*parts, external, code_fingerprint(*ROOMS))
            for seed in protocol.seeds:
                first = seed == protocol.seeds[0]
                key = fingerprint(of_seeds, seed, first)
                jobs.append(Job(str(corpus), str(category), str(arm), seed, shown, first, key))
    return jobs


def count_synthetic(rows: pd.DataFrame) -> int:
    """Return how many different images of the arm's own making a training set holds.

    Base images that an arm only shows again are not counted.
    """
    own = [json.loads(text) for text in set(rows[rows["kind"] == "own"]["recipe"])]
    inner = [recipe.get("recipe", recipe) for recipe in own]  # a mixture's holds its part's
    return sum(not (set(r) <= _PLAIN and r["sources"] == [r["source"]]) for r in inner)


def _external(bank: Bank, arm: str) -> Iterator[object]:
    """Yield the files of other systems' sets that the arm shows, by name, size and time."""
    for name, external in bank.external.items():
        if f"external:{name}" in arm:
            for file in [*external.pairs["image"], *external.pairs["mask"]]:
                stat = (external.root / file).stat()
                yield name, file, stat.st_size, stat.st_mtime_ns
