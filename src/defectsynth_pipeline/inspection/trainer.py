"""One training from its rows of the plan to what is kept of it; in this process or in another."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic

import numpy as np
import pandas as pd
from torch import nn

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.inspection.augmentation import Augmentation, learn_augmentation
from defectsynth_pipeline.inspection.batches import Shown, TrainingImages, View
from defectsynth_pipeline.inspection.detectors import write_detector
from defectsynth_pipeline.inspection.jobs import FROZEN, Detector, Job, count_synthetic
from defectsynth_pipeline.inspection.results import LEGACY, Finished, Result, write_finished
from defectsynth_pipeline.inspection.selection import held_out_groups, without_held_out
from defectsynth_pipeline.inspection.task import Fitting, Task
from defectsynth_pipeline.inspection.test_set import TestSet, real_test_rows
from defectsynth_pipeline.inspection.training import count_steps
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.resumable import OnMetrics

log = logging.getLogger(__name__)
HELD_OUT = "held_out_score"
OVERLAYS = 4  # test images per category whose score maps are kept


class Workbench(Generic[Result]):
    """Trains the jobs of an experiment; what those of one category share is kept."""

    def __init__(
        self, kind: type[Task[Result]], bank: Bank, protocol: ProtocolOptions, folder: Path
    ) -> None:
        self._kind: type[Task[Result]] = kind
        self._bank, self.protocol, self.folder = bank, protocol, folder
        self._kept: dict[tuple[str, str, str], Trainer[Result]] = {}

    def trainer(self, job: Job) -> Trainer[Result]:
        """What trains a job; of one category and detector at a time, for its images are many."""
        place = (job.corpus, job.category, job.detector.network)
        if place not in self._kept:
            given = self._bank, self.protocol, self.folder
            made = Trainer(self._kind, job.detector, job.corpus, job.category, *given)
            self._kept = {place: made}
        return self._kept[place]

    def train(self, given: tuple[Job, int]) -> str:
        """Train a job to a length in steps, 0 for the full one; return its key when it is kept."""
        job, length = given
        trainer = self.trainer(job)
        log.info("training %s", job.name)
        done = trainer.train(job, trainer.facts(job, length), lambda *_: None)
        write_finished(done, self.folder, job.key)
        return job.key


class Trainer(Generic[Result]):
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
            detector = self._folder / f"{job.key}.detector"
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
