"""One training: AdamW, cosine rate, checkpoints, the best weights by whatever judges them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.arithmetic import fast_arithmetic, repeatable
from defectsynth_pipeline.inspection.history import (
    RECORDS,
    Batches,
    Best,
    History,
    Judge,
    Loss,
    OnMetrics,
    copy_state,
)
from defectsynth_pipeline.options import TrainingOptions
from defectsynth_pipeline.resumable import Progress, load_checkpoint, save_checkpoint


def train(
    model: nn.Module,
    batches: Batches,
    loss: Loss,
    options: TrainingOptions,
    n_steps: int,
    folder: Path,
    key: str,
    on_metrics: OnMetrics,
    validate: Judge | None = None,
    name: str = "training",
) -> History:
    """Train a model in place up to its last step.

    The rate rises over the first twentieth of the steps and falls on a cosine to zero: the last
    step is what is reported, so it should be one where weights and batch statistics have settled.

    Args:
        model: On its device.
        batches: Inputs and targets of a step, a function of the step alone.
        loss: Of outputs and targets, a scalar.
        options: Rate, batch size, how often to judge and to keep a checkpoint.
        n_steps: Optimizer steps.
        folder: Where `<key>.pt` is kept every `checkpoint_every` steps and resumed from.
        key: Fingerprint of all that decides the outcome.
        on_metrics: Called with (step, losses) for every row of the history.
        validate: Judges the model every `validate_every` steps and at the last: criteria, lower
            is better. None: nothing is judged.
        name: For messages: what is trained.

    Returns:
        The curve and the best weights by criterion.

    Raises:
        InputError: The loss or its gradient is not a number; a checkpoint is kept.
    """
    trainer = _Trainer(model, options, n_steps, folder / f"{key}.pt", name)
    progress = Progress(name, n_steps, trainer.step)
    with repeatable():
        while trainer.step < n_steps:
            value = trainer.take(batches(trainer.step), loss)
            progress(trainer.step, loss=value)
            trainer.record(on_metrics, validate)
            if trainer.step % options.checkpoint_every == 0 and trainer.step < n_steps:
                trainer.save()
    return trainer.finished()


class _Trainer:
    """Model, optimizer, place and history of one training."""

    def __init__(
        self, model: nn.Module, options: TrainingOptions, n_steps: int, path: Path, name: str
    ) -> None:
        self.model, self.options, self.path, self.name = model, options, path, name
        self.n_steps, self.step = n_steps, 0
        self.device = next(model.parameters()).device
        self.optimizer = torch.optim.AdamW(model.parameters(), options.learning_rate)
        self.history, self._sum, self._count = History(), 0.0, 0
        self._restore()
        self._since = time.monotonic()

    def take(self, batch: tuple[Tensor, Tensor], loss: Loss) -> float:
        """Do one optimizer step and return its loss."""
        inputs, targets = (part.to(self.device) for part in batch)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with fast_arithmetic(self.device):
            outputs = self.model(inputs)
        error = loss(outputs.float(), targets)
        error.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        value = error.item()
        # Before the step, so that the weights are still numbers.
        if not (math.isfinite(value) and math.isfinite(norm.item())):
            self._stop()
        self.optimizer.step()
        self.step += 1
        self._sum, self._count = self._sum + value, self._count + 1
        return value

    def record(self, on_metrics: OnMetrics, validate: Judge | None) -> None:
        """Extend the history where a row is due, and keep weights that are the best so far."""
        last = self.step == self.n_steps
        judged = validate is not None and (last or self.step % self.options.validate_every == 0)
        if not (last or judged or self.step % max(1, self.n_steps // RECORDS) == 0):
            return
        row: dict[str, float] = {"loss": self._sum / self._count}
        self._sum, self._count = 0.0, 0
        if judged and validate is not None:
            scores = validate(self.model)
            self._compare(scores)
            row |= scores
        self.history.rows.append({"step": self.step, **row})
        on_metrics(self.step, row)

    def save(self) -> None:
        """Write everything a resumed training needs."""
        self._clock()
        save_checkpoint(
            self.path,
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "mean": [self._sum, self._count],
                "rows": self.history.rows,
                "best": {name: vars(best) for name, best in self.history.best.items()},
                "seconds": self.history.seconds,
            },
        )

    def finished(self) -> History:
        """Return the history with its time up to now."""
        self._clock()
        return self.history

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / max(1, self.n_steps // 20))
        fall = 0.5 * (1 + math.cos(math.pi * self.step / self.n_steps))
        return self.options.learning_rate * warm * fall

    def _compare(self, scores: Mapping[str, float]) -> None:
        for name, score in scores.items():
            held = self.history.best.get(name)
            if held is None or score < held.score:
                self.history.best[name] = Best(score, self.step, copy_state(self.model))

    def _stop(self) -> NoReturn:
        if not self.path.exists():
            self.save()
        raise InputError(
            f"the training diverged: its loss is not a number ({self.name})",
            file=self.path,
            value=f"step {self.step}, learning_rate {self.options.learning_rate:g}",
            remedy="lower the task's training.learning_rate; the last checkpoint is kept",
        )

    def _restore(self) -> None:
        state: dict[str, Any] | None = load_checkpoint(self.path)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, (self._sum, self._count) = state["step"], state["mean"]
        best = {name: Best(**values) for name, values in state["best"].items()}
        self.history = History(state["rows"], best, state["seconds"])

    def _clock(self) -> None:
        now = time.monotonic()
        self.history.seconds += now - self._since
        self._since = now
