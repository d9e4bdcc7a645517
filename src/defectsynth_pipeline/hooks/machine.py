"""How busy the machine is while a run lasts, as MLflow's page of system metrics shows it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import psutil

logger = logging.getLogger(__name__)

INTERVAL = 15.0  # seconds; a sample takes some milliseconds
_PREFIX = "system/"  # what MLflow keeps apart from a run's own metrics
_MIB = 2**20
_PATIENCE = 1.0  # seconds


class MachineWatch:
    """A thread that samples until it is stopped; what fails in it ends the watch, not the run."""

    def __init__(self, log: Callable[[Mapping[str, float], int], object]) -> None:
        """Begin.

        Args:
            log: Called with a sample and its number; raises nothing of the store's.
        """
        self._log, self._done = log, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="machine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch; one that hangs on a store is left behind."""
        self._done.set()
        self._thread.join(timeout=_PATIENCE)

    def _watch(self) -> None:
        try:
            process, graphics = psutil.Process(), _graphics()
            psutil.cpu_percent()  # the first is since the last call, and there was none
            step = 0
            while not self._done.wait(INTERVAL):
                self._log(_sample(process, graphics), step)
                step += 1
        except Exception as error:  # a driver, or a container that hides /proc
            logger.debug("the machine is not watched any more: %s", error)


def _sample(process: psutil.Process, graphics: Any) -> dict[str, float]:
    memory = psutil.virtual_memory()
    values = {
        "cpu_utilization_percentage": psutil.cpu_percent(),
        "system_memory_usage_percentage": memory.percent,
        "process_memory_megabytes": process.memory_info().rss / _MIB,
    }
    if graphics is not None:
        graphics.collect_metrics()
        values |= graphics.aggregate_metrics()
        graphics.clear_metrics()
    return {f"{_PREFIX}{name}": float(value) for name, value in values.items()}


def _graphics() -> Any:
    """MLflow's own watch of the GPUs, None where there is none or `nvidia-ml-py` is missing."""
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

    try:
        return GPUMonitor()
    except (ImportError, RuntimeError):
        return None
