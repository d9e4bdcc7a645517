"""What every training loop shares: its place, a time left, checkpoints that survive a kill, a rate.

A loop reads `session.step`, does that step, and calls `count`; `due` says when to judge and when
to `save`. Batches and noise are functions of the step, so that `restore` is all a killed loop
needs to go on as if nothing had happened.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.publishing import written_whole

log = logging.getLogger(__name__)
OnMetrics: TypeAlias = Callable[[int, Mapping[str, float]], None]  # step, values by name


class Session:
    """The place of one training, over all the sessions that it is spread over.

    Attributes:
        path: Of the checkpoint.
        steps: Optimizer steps of the whole training.
        step: Steps done.
    """

    def __init__(self, name: str, steps: int, path: Path) -> None:
        """Start at step 0, or where `restore` says; `name` is for the log."""
        self.path, self.steps, self.step = path, steps, 0
        self._name, self._before, self._began = name, 0.0, time.monotonic()
        self._progress = Progress(name, steps)

    @property
    def seconds(self) -> float:
        """Time spent, over all sessions."""
        return self._before + time.monotonic() - self._began

    def restore(self) -> dict[str, Any] | None:
        """Return what `save` wrote and take up its place, or None where nothing was."""
        state = load_checkpoint(self.path)
        if state is not None:
            self.step, self._before = state["step"], state["seconds"]
            self._progress = Progress(self._name, self.steps, self.step)
        return state

    def count(self, **values: float) -> None:
        """Note that a step is done, and log progress with these values from time to time."""
        self.step += 1
        self._progress(self.step, **values)

    def due(self, every: int) -> bool:
        """Whether something is to be done that is done every so many steps and at the last."""
        return self.step % every == 0 or self.step == self.steps

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint of the state and the place."""
        save_checkpoint(self.path, {**state, "step": self.step, "seconds": self.seconds})


def learning_rate(full: float, step: int, steps: int, *, warm_up: int, floor: float = 0.0) -> float:
    """Return the rate at a step: a linear warm-up times a cosine from `full` to its last share.

    Args:
        full: The highest rate.
        step: Steps done, 0 .. steps.
        steps: Of the whole training.
        warm_up: Steps until the rate is full, >= 1.
        floor: Share of the rate where the cosine ends, in [0, 1].
    """
    warm = min(1.0, (step + 1) / warm_up)
    return full * warm * ((1 + floor) / 2 + (1 - floor) / 2 * math.cos(math.pi * step / steps))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let all parameters learn at a rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


class Progress:
    """Logs step, loss, rate and time left, at most once every `seconds`."""

    def __init__(self, name: str, total: int, start: int = 0, seconds: float = 15.0) -> None:
        self._name, self._total, self._start, self._seconds = name, total, start, seconds
        self._began = self._last = time.monotonic()

    def __call__(self, done: int, **values: float) -> None:
        now = time.monotonic()
        if now - self._last < self._seconds and done < self._total:
            return
        self._last = now
        rate = (done - self._start) / max(now - self._began, 1e-9)
        left = (self._total - done) / max(rate, 1e-9)
        figures = " ".join(f"{key} {value:.4f}" for key, value in values.items())
        log.info(
            "%s %d/%d, %.2f/s, %d:%02d left, %s",
            self._name,
            done,
            self._total,
            rate,
            *divmod(int(left), 60),
            figures,
        )


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values so that a kill leaves the old file or the new one.

    Raises:
        InputError: The disk is full or read only; the old file is still there.
    """
    # Given a path, torch writes by itself and hides from us why it could not.
    with written_whole(path) as aside, aside.open("wb") as file:
        torch.save(dict(state), file)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return what `save_checkpoint` wrote, or None where nothing was.

    Raises:
        InputError: The file is half, garbage or of another program.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        known = "step" in state
    except Exception:  # of many kinds; torch's texts advise to run what may be in the file
        known = False
    if not known:
        raise InputError(
            "a checkpoint cannot be read: it is half, garbage or of another program",
            file=path,
            value=f"{path.stat().st_size} bytes",
            remedy="delete the file; its training then begins anew",
        )
    log.info("resuming from %s at step %s", path.name, state.get("step"))
    return state
