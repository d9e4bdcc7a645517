"""One training: what a detector brings along, AdamW steps, and the best weights by any judge."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.batches import View
from defectsynth_pipeline.inspection.results import Result
from defectsynth_pipeline.inspection.test_set import TestSet
from defectsynth_pipeline.options import ClassificationOptions, LocalizationOptions, TrainingOptions
from defectsynth_pipeline.resumable import OnMetrics, Session, learning_rate, set_rate

Batches: TypeAlias = Callable[[int], tuple[Tensor, Tensor]]
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Judge: TypeAlias = Callable[[nn.Module], Mapping[str, float]]
RECORDS = 30  # points of a training curve


class Task(ABC, Generic[Result]):
    """A kind of detector for one category.

    Attributes:
        name: "classification" or "localization".
        square: Whether images are brought to a square.
        legacy: The metric that published systems pick a checkpoint by on the test set; 1 is best.
        network: Name of the network, or of its encoder.
        types: Defect types of the category.
        side: px, scale of the images.
    """

    name: ClassVar[str]
    square: ClassVar[bool]
    legacy: ClassVar[str]
    network: str

    def __init__(
        self, options: ClassificationOptions | LocalizationOptions, types: Sequence[str]
    ) -> None:
        self.side, self.training, self.types = options.side, options.training, tuple(types)

    @staticmethod
    @abstractmethod
    def build(network: str, n_types: int, weights: str) -> tuple[nn.Module, str]:
        """Return a fresh detector on the CPU, and where its weights come from.

        Random values come from torch's global generator: seed it first.

        Args:
            network: "resnet18" or "resnet34".
            n_types: Number of defect types.
            weights: "auto", "none" or a file; see `weights.weights_file`.

        Raises:
            InputError: The weights cannot be used.
        """

    @abstractmethod
    def batches(self, views: Sequence[View], rows: pd.DataFrame, seed: int) -> Batches:
        """Return the batches of a training set, a function of the step."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the training loss, a scalar."""

    @abstractmethod
    def validation_loss(
        self, model: nn.Module, views: Sequence[View], types: Sequence[str]
    ) -> float:
        """Return the mean loss over whole held-out images of the given defect types."""

    @abstractmethod
    def evaluate(
        self, model: nn.Module, tests: TestSet, overlays: Collection[str]
    ) -> tuple[Result, dict[str, np.ndarray]]:
        """Let the detector judge the test images.

        Returns:
            All that metrics need, and the probability maps, uint8 (H, W), of the sample_ids in
            `overlays`.
        """

    @abstractmethod
    def metrics(self, result: Result) -> Mapping[str, float]:
        """Return the metrics of a result by name."""


@dataclass(frozen=True)
class Best:
    """The weights that one criterion liked most."""

    score: float
    step: int
    state: dict[str, Tensor]


@dataclass
class History:
    """What a training leaves beside the model.

    Attributes:
        rows: `step`, `loss` (mean since the row before) and the judge's criteria where it judged.
        best: The best weights by criterion, lower scores being better.
        seconds: Time spent, over all sessions.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Best] = field(default_factory=dict)
    seconds: float = 0.0


def train(
    model: nn.Module,
    batches: Batches,
    loss: Loss,
    options: TrainingOptions,
    n_steps: int,
    checkpoint: Path,
    on_metrics: OnMetrics,
    judge: Judge | None = None,
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
        checkpoint: Written every `checkpoint_every` steps, and resumed from.
        on_metrics: Called with (step, losses) for every row of the history.
        judge: Called with the model every `validate_every` steps and at the last: criteria, lower
            is better. None: nothing is judged.
        name: For messages: what is trained.

    Returns:
        The curve and the best weights by criterion.

    Raises:
        InputError: The loss or its gradient is not a number; a checkpoint is kept.
    """
    session, device = Session(name, n_steps, checkpoint), next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), options.learning_rate)
    history, total, count = History(), 0.0, 0
    if (kept := session.restore()) is not None:
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        best = {criterion: Best(**values) for criterion, values in kept["best"].items()}
        history, (total, count) = History(kept["rows"], best), kept["mean"]
    del kept

    def state() -> dict[str, Any]:
        return {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "mean": [total, count],
            "rows": history.rows,
            "best": {criterion: vars(best) for criterion, best in history.best.items()},
        }

    warm_up = max(1, n_steps // 20)
    # Else cuDNN chooses algorithms that add up in varying order; a CPU needs nothing.
    with torch.backends.cudnn.flags(True, benchmark=False, deterministic=True, allow_tf32=True):
        while session.step < n_steps:
            inputs, targets = (part.to(device) for part in batches(session.step))
            rate = learning_rate(options.learning_rate, session.step, n_steps, warm_up=warm_up)
            set_rate(optimizer, rate)
            model.train()
            optimizer.zero_grad(set_to_none=True)
            with fast_arithmetic(device):
                outputs = model(inputs)
            error = loss(outputs.float(), targets)
            error.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            value = error.item()
            # Before the step, so that the weights are still numbers.
            if not (math.isfinite(value) and math.isfinite(norm.item())):
                if not checkpoint.exists():
                    session.save(state())
                raise InputError(
                    f"the training diverged: its loss is not a number ({name})",
                    file=checkpoint,
                    value=f"step {session.step}, learning_rate {options.learning_rate:g}",
                    remedy="lower the task's training.learning_rate; the last checkpoint is kept",
                )
            optimizer.step()
            session.count(loss=value)
            total, count = total + value, count + 1

            judged = judge is not None and session.due(options.validate_every)
            if judged or session.due(max(1, n_steps // RECORDS)):
                row, total, count = {"loss": total / count}, 0.0, 0
                scores = judge(model) if judged and judge is not None else {}
                for criterion, score in scores.items():
                    held = history.best.get(criterion)
                    if held is None or score < held.score:
                        weights = {n: v.cpu().clone() for n, v in model.state_dict().items()}
                        history.best[criterion] = Best(score, session.step, weights)
                row |= scores
                history.rows.append({"step": session.step, **row})
                on_metrics(session.step, row)
            if session.due(options.checkpoint_every) and session.step < n_steps:
                session.save(state())
    history.seconds = session.seconds
    return history


def count_steps(options: TrainingOptions, n_rows: int) -> int:
    """Return the optimizer steps: as given, or whole epochs over `n_rows` images."""
    if options.steps is not None:
        return options.steps
    assert options.epochs is not None  # the options' validator saw to it
    return options.epochs * math.ceil(n_rows / options.batch_size)


def fast_arithmetic(device: torch.device) -> AbstractContextManager[object]:
    """Autocast to bfloat16 on CPUs with instructions for it, else nothing.

    Weights, statistics and losses stay in float32. The same machine always gets the same numbers;
    another CPU may round differently, as it may in float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=_has_bfloat16(device.type))


@lru_cache
def _has_bfloat16(device_type: str) -> bool:
    if device_type != "cpu":
        return False
    # Emulated bfloat16 is slower than float32, so that only real instructions count. Where torch
    # is too old to tell, float32 is the safe answer.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))
