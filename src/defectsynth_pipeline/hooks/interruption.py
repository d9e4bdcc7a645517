"""A run stopped by Ctrl-C or by a shutdown ends in order and says that nothing is lost."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from kedro.framework.hooks import hook_impl

logger = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Ends a run in order: files written aside are removed, locks let go, the MLflow run closed."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Answer the signals, in the thread that gets them."""
        if threading.current_thread() is threading.main_thread():
            stop = _stopper(os.getpid())
            self._before = {number: signal.signal(number, stop) for number in _SIGNALS}

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Let them do again what they did before."""
        self._restore()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """As after a run that ended well."""
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def _stopper(run: int) -> Callable[[int, FrameType | None], None]:
    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
        if os.getpid() == run:
            name = signal.Signals(number).name
            logger.error(
                "stopped by %s; what is finished is kept: the same command goes on from there", name
            )
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    return stop
