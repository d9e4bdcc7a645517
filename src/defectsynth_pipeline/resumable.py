"""What every long job shares: progress with a time left, checkpoints that survive a kill."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)


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
    """Write tensors and plain values so that a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(dict(state), partial)
    os.replace(partial, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return what `save_checkpoint` wrote, or None where nothing was."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    log.info("resuming from %s at step %s", path.name, state.get("step"))
    return state
