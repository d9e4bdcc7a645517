"""What goes into a training and what it leaves beside the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor, nn

from defectsynth_pipeline.options import TrainingOptions

Batches: TypeAlias = Callable[[int], tuple[Tensor, Tensor]]
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
OnMetrics: TypeAlias = Callable[[int, Mapping[str, float]], None]
Judge: TypeAlias = Callable[[nn.Module], Mapping[str, float]]
RECORDS = 30  # points of a training curve


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
        rows: `step`, `loss` (mean since the row before) and the judge's criteria where it spoke.
        best: The best weights by criterion, lower scores being better.
        seconds: Time spent, over all sessions.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Best] = field(default_factory=dict)
    seconds: float = 0.0


def count_steps(options: TrainingOptions, n_rows: int) -> int:
    """Return the optimizer steps: as given, or whole epochs over `n_rows` images."""
    if options.steps is not None:
        return options.steps
    assert options.epochs is not None  # the options' validator saw to it
    return options.epochs * math.ceil(n_rows / options.batch_size)


def copy_state(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the weights and statistics on the CPU."""
    return {name: v.detach().cpu().clone() for name, v in model.state_dict().items()}
