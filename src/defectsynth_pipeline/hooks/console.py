"""What a run shows in the terminal: its own progress, and errors a user can act on."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from types import TracebackType
from typing import Any

from kedro.framework.hooks import hook_impl

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.mistyped import what_was_mistyped
from defectsynth_pipeline.hooks.parameters import unreadable
from defectsynth_pipeline.publishing import cannot_write

logger = logging.getLogger(__name__)

TRACEBACK = "DEFECTSYNTH_TRACEBACK"


def find_input_error(error: BaseException | None) -> InputError | None:
    """The `InputError` that an error is or was raised from; Kedro wraps what datasets raise.

    A full or read-only disk is one, wherever it was met.
    """
    while error is not None and not isinstance(error, InputError):
        if isinstance(error, OSError) and (told := cannot_write(error)) is not None:
            return told
        error = error.__cause__
    return error


def show_input_errors() -> None:
    """Show of an uncaught `InputError` its line alone; all if DEFECTSYNTH_TRACEBACK is set."""
    previous = sys.excepthook

    def show(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        found = find_input_error(error) or unreadable(error) or what_was_mistyped(error)
        if found is None or os.environ.get(TRACEBACK):
            previous(kind, error, traceback)
        else:
            logger.error("%s", found)

    sys.excepthook = show


def quiet_libraries() -> None:
    """Silence what libraries say about themselves, unless the environment asks for it.

    They read these variables when they are imported, and put aside what conf/logging.yml says.
    """
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # a bar for each loading of weights
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # `--pipeline` is what people type; Kedro would rather have `--pipelines`.
    warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")
    # The tables read `partition_0.classification_report` and so on from outside its namespace.
    warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
    # `NodeLog` says in a line what these say in four, with every input and output of the node;
    # why one failed is said at the end.
    for name in (
        "kedro.pipeline.node",
        "kedro.runner.sequential_runner",
        "kedro.validation.parameter_validator",
    ):
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    told_by_us = ("Running node: ", "Node ", "Completed ", "Using synchronous mode", "No typed ")
    return not record.getMessage().startswith(told_by_us)


class NodeLog:
    """Says which node begins, and how many there are."""

    def __init__(self) -> None:
        self._begun = self._all = 0

    @hook_impl
    def before_pipeline_run(self, pipeline: Any) -> None:
        """Count the nodes."""
        self._begun, self._all = 0, len(pipeline.nodes)

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        """Say that one begins."""
        self._begun += 1
        logger.info("%d/%d %s", self._begun, self._all, node.name)
