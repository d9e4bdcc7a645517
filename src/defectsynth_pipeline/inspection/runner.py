"""Trains and tests the detectors of one category; what arms and seeds share is read once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import pandas as pd
import torch
from torch import nn

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.inspection.arithmetic import best_device
from defectsynth_pipeline.inspection.detectors import write_detector
from defectsynth_pipeline.inspection.facts import about, description, parameters
from defectsynth_pipeline.inspection.history import (
    Best,
    History,
    OnMetrics,
    copy_state,
    count_steps,
)
from defectsynth_pipeline.inspection.jobs import Job
from defectsynth_pipeline.inspection.outcomes import Finished
from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.inspection.selection import held_out_groups, without_held_out
from defectsynth_pipeline.inspection.task import Evaluation, Task
from defectsynth_pipeline.inspection.test_set import TestSet, real_test_rows
from defectsynth_pipeline.inspection.training import train
from defectsynth_pipeline.inspection.training_set import TrainingImages
from defectsynth_pipeline.options import ProtocolOptions

Result = TypeVar("Result")
Track: TypeAlias = Callable[[str, Mapping[str, object]], AbstractContextManager[OnMetrics]]
VALIDATION = "validation_loss"
OVERLAYS = 4  # test images per category whose score maps are kept


class CategoryRunner(Generic[Result]):
    """The trainings of one category.

    Attributes:
        task: What is trained.
        images: The training images made so far.
    """

    def __init__(
        self,
        task: Task[Result],
        corpus: str,
        category: str,
        bank: Bank,
        protocol: ProtocolOptions,
        folder: Path,
    ) -> None:
        self.task, self.category, self._corpus = task, category, corpus
        self._bank, self._protocol, self._folder = bank, protocol, folder
        self.images = TrainingImages(bank, task.side, square=task.square)
        self._device = best_device()

    def train(self, job: Job, track: Track) -> Finished[Result]:
        """Train one detector, test it, and return all that is to be kept.

        Raises:
            InputError: The training diverged, or there is nothing to test on.
        """
        torch.manual_seed(counter_seed(job.seed, job.category))
        model, origin = self.task.build()
        model = model.to(self._device)
        rows = self._shown(job)
        batches = self.task.batches(self.images.views(rows), rows, job.seed)
        n_steps = count_steps(self.task.training, len(rows))
        name = self._name(job)
        with track(name, self._params(job, n_steps)) as on_metrics:
            judge = self._judge if self._judged else None
            options, folder = self.task.training, self._folder
            history = train(
                model, batches, self.task.loss, options, n_steps, folder, job.key,
                on_metrics, judge, name,
            )  # fmt: skip
            done = self._finish(job, model, history, origin, n_steps)
            self._log_final(done, on_metrics)
        return done

    def replay(self, job: Job, done: Finished[Result], track: Track) -> None:
        """Track a training that was finished in an earlier session as if it were done now."""
        with track(self._name(job), self._params(job, done.meta[0]["steps"])) as on_metrics:
            for row in done.history.to_dict("records"):
                step = int(row.pop("step"))
                on_metrics(step, {str(k): v for k, v in row.items() if math.isfinite(v)})
            self._log_final(done, on_metrics)

    @cached_property
    def _tests(self) -> TestSet:
        rows = real_test_rows(self._bank.samples, self._corpus, self.category)
        return TestSet(self.task.tested(rows), self.task.side, square=self.task.square)

    @cached_property
    def _held_out(self) -> pd.DataFrame:
        """Base samples that validate, and normals of their groups; empty unless asked for."""
        base = self._bank.base(self.category)
        if self._protocol.select != "validation":
            return base.iloc[:0]
        groups = held_out_groups(base, self._protocol.validation_share, self._bank.options.seed)
        every = pd.concat([base, self._bank.normals(self.category)])
        return every[every["group"].isin(groups)]

    @cached_property
    def _validation(self) -> tuple[list[Any], list[str]]:
        base = self._held_out[self._held_out["split"] == "base"]
        return self.images.real(list(base["sample_id"])), list(base["defect_type"])

    @property
    def _judged(self) -> bool:
        return self._protocol.select == "validation" or self._protocol.legacy

    def _shown(self, job: Job) -> pd.DataFrame:
        held = frozenset(self._held_out["sample_id"])
        return without_held_out(job.rows, held) if held else job.rows

    def _judge(self, model: nn.Module) -> dict[str, float]:
        scores = {}
        if self._protocol.select == "validation":
            scores[VALIDATION] = self.task.validation_loss(model, *self._validation)
        if self._protocol.legacy:
            result = self.task.evaluate(model, self._tests, ()).result
            scores[LEGACY] = 1 - self.task.legacy_score(result)
        return scores

    def _finish(
        self, job: Job, model: nn.Module, history: History, origin: str, n_steps: int
    ) -> Finished[Result]:
        """Test the reported weights, and those of the best test checkpoint if asked for."""
        best = history.best.get(VALIDATION)
        chosen = best or Best(math.nan, n_steps, copy_state(model))
        facts = {"weights": origin, "seconds": round(history.seconds, 1)}
        facts |= {"n_base": self._n_base()} | about(job, self.task, n_steps)
        how = "validation" if best else "last"
        meta = [facts | {"selected": how, "checkpoint_step": chosen.step}]
        overlays = self._tests.spread(OVERLAYS) if job.first else []
        reported = self._test(model, chosen, overlays)
        results = [reported.result]
        if (legacy := history.best.get(LEGACY)) is not None:
            meta.append(facts | {"selected": LEGACY, "checkpoint_step": legacy.step})
            results.append(self._test(model, legacy, ()).result)
        folder = None
        if job.first:
            folder = self._folder / f".partial-{job.key}.detector"
            write_detector(chosen.state, description(job, self.task, meta[0]), folder)
        table = pd.DataFrame(history.rows)
        return Finished(meta, results, table, reported.overlays, folder)

    def _test(self, model: nn.Module, chosen: Best, overlays: Any) -> Evaluation[Result]:
        model.load_state_dict(chosen.state)
        return self.task.evaluate(model, self._tests, frozenset(overlays))

    def _n_base(self) -> int:
        held = int((self._held_out["split"] == "base").sum())
        return len(self._bank.base(self.category)) - held

    def _name(self, job: Job) -> str:
        return f"{self.task.name} / {job.category} / {job.arm} / seed {job.seed}"

    def _params(self, job: Job, n_steps: int) -> dict[str, object]:
        return parameters(job, self.task, self._protocol, n_steps)

    def _log_final(self, done: Finished[Result], on_metrics: OnMetrics) -> None:
        values = self.task.metrics(done.results[0])
        finite = {f"test.{name}": v for name, v in values.items() if math.isfinite(v)}
        on_metrics(int(done.meta[0]["steps"]), finite)
