"""One training: AdamW steps, their average, and the best weights by any judge."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import TrainingOptions
from defectsynth_pipeline.resumable import OnMetrics, Session

Batches: TypeAlias = Callable[[int], tuple[Tensor, Tensor]]
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Judge: TypeAlias = Callable[[nn.Module], Mapping[str, float]]
RECORDS = 30  # points of a training curve


@dataclass(frozen=True)
class Best:
    """The weights that one criterion liked most; a higher score is better."""

    score: float
    step: int
    state: dict[str, Tensor]


@dataclass
class History:
    """What a training leaves beside the model.

    Attributes:
        rows: `step`, `loss` (mean since the row before) and the judge's criteria where it judged.
        best: The best weights by criterion.
        seconds: Time spent, over all sessions.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Best] = field(default_factory=dict)
    seconds: float = 0.0


class Average:
    """The moving average of a model's weights and batch statistics.

    It has settled at any step (Polyak and Juditsky, 1992), as a falling rate has only at the last,
    so that lengths can be compared along one training.

    Args:
        model: What is averaged.
        steps: How far back the average reaches.
    """

    def __init__(self, model: nn.Module, steps: int) -> None:
        self.model, self.state = model, _copied(model.state_dict())
        self._newest = 1 / max(1, steps)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step; the first ones count for as long as there are few."""
        newest = max(self._newest, 1 / (step + 1))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, newest)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def shown(self) -> Iterator[nn.Module]:
        """The model with averaged weights; its own come back."""
        own = _copied(self.model.state_dict())
        self.model.load_state_dict(self.state)
        yield self.model
        self.model.load_state_dict(own)


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


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
    *,
    pretrained: nn.Module | None = None,
    judge_every: int | None = None,
    patience: int | None = None,
) -> History:
    """Train a model in place and leave it with the average of its last weights.

    The rate rises over the first twentieth of the steps and stays.

    Args:
        model: On its device.
        batches: Inputs and targets of a step, a function of the step alone.
        loss: Of outputs and targets, a scalar.
        options: Rates, batch size, how often to judge and to keep a checkpoint.
        n_steps: Optimizer steps.
        checkpoint: Written every `checkpoint_every` steps, and resumed from.
        on_metrics: Called with (step, losses) for every row of the history.
        judge: Called with the averaged model every `validate_every` steps and at the last:
            criteria, higher is better. None: nothing is judged.
        name: For messages: what is trained.
        judge_every: Steps, in place of `validate_every`.
        pretrained: The part of the model that learns at `encoder_rate` of the rate.
        patience: Judgements without a gain of any criterion after which the rest is not trained.

    Returns:
        The curve and the best weights by criterion.

    Raises:
        InputError: The loss or its gradient is not a number; a checkpoint is kept.
    """
    session, device = Session(name, n_steps, checkpoint), next(model.parameters()).device
    groups = _groups(model, pretrained, options)
    optimizer = torch.optim.AdamW(groups, options.learning_rate, fused=True)
    shares = [group["lr"] / options.learning_rate for group in optimizer.param_groups]
    average = Average(model, round(options.average * n_steps))
    history, total, count = History(), 0.0, 0
    if (kept := session.restore()) is not None:
        model.load_state_dict(kept["model"])
        average.state = {n: v.to(device) for n, v in kept["average"].items()}
        optimizer.load_state_dict(kept["optimizer"])
        best = {criterion: Best(**values) for criterion, values in kept["best"].items()}
        history, (total, count) = History(kept["rows"], best), kept["mean"]
    del kept

    def state() -> dict[str, Any]:
        return {
            "model": model.state_dict(),
            "average": average.state,
            "optimizer": optimizer.state_dict(),
            "mean": [total, count],
            "rows": history.rows,
            "best": {criterion: vars(best) for criterion, best in history.best.items()},
        }

    warm_up = max(1, n_steps // 20)
    # Else cuDNN chooses algorithms that add up in varying order; a CPU needs nothing.
    with torch.backends.cudnn.flags(True, benchmark=False, deterministic=True, allow_tf32=True):
        while session.step < n_steps and not _past_best(history, patience):
            inputs, targets = (part.to(device) for part in batches(session.step))
            rate = options.learning_rate * min(1.0, (session.step + 1) / warm_up)
            for group, share in zip(optimizer.param_groups, shares, strict=True):
                group["lr"] = rate * share
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
            average.update(session.step)
            session.count(loss=value)
            total, count = total + value, count + 1

            judged = judge is not None and session.due(judge_every or options.validate_every)
            if judged or session.due(max(1, n_steps // RECORDS)):
                row, total, count = {"loss": total / count}, 0.0, 0
                if judged and judge is not None:
                    with average.shown() as settled:
                        row |= _judged(judge, settled, history, session.step)
                history.rows.append({"step": session.step, **row})
                on_metrics(session.step, row)
            if session.due(options.checkpoint_every) and session.step < n_steps:
                session.save(state())
    model.load_state_dict(average.state)
    history.seconds = session.seconds
    return history


def _groups(
    model: nn.Module, pretrained: nn.Module | None, options: TrainingOptions
) -> list[dict[str, Any]]:
    """Parameters with their rates: what is pretrained, and the rest."""
    slow = set(pretrained.parameters()) if pretrained is not None else set()
    fast = [parameter for parameter in model.parameters() if parameter not in slow]
    groups: list[dict[str, Any]] = [{"params": fast, "lr": options.learning_rate}]
    if pretrained is not None:
        rate = options.learning_rate * options.encoder_rate
        groups.append({"params": list(pretrained.parameters()), "lr": rate})
    return groups


def _judged(judge: Judge, model: nn.Module, history: History, step: int) -> Mapping[str, float]:
    """Let a model be judged, and keep its weights where a criterion likes them best."""
    scores = judge(model)
    for criterion, score in scores.items():
        held = history.best.get(criterion)
        if math.isfinite(score) and (held is None or score > held.score):
            weights = {n: v.cpu().clone() for n, v in model.state_dict().items()}
            history.best[criterion] = Best(score, step, weights)
    return scores


def _past_best(history: History, patience: int | None) -> bool:
    """Whether no criterion has gained for as many judgements as there is patience."""
    judged = [row["step"] for row in history.rows if len(row) > len(("step", "loss"))]
    latest = max((best.step for best in history.best.values()), default=0)
    return patience is not None and sum(step > latest for step in judged) >= patience


def count_steps(options: TrainingOptions, n_rows: int) -> int:
    """Return the optimizer steps: as given, or whole epochs over `n_rows` images.

    "auto" has been replaced by a number (`inspection.jobs`).
    """
    if isinstance(options.steps, int):
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
