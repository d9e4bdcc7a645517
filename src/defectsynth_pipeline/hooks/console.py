"""What a run shows in the terminal: its own progress, and errors a user can act on."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from types import TracebackType

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.parameters import unreadable

logger = logging.getLogger(__name__)

TRACEBACK = "DEFECTSYNTH_TRACEBACK"


def find_input_error(error: BaseException | None) -> InputError | None:
    """The `InputError` that an error is or was raised from; Kedro wraps what datasets raise."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


def show_input_errors() -> None:
    """Show of an uncaught `InputError` its message alone; all if DEFECTSYNTH_TRACEBACK is set."""
    previous = sys.excepthook

    def show(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        found = find_input_error(error) or unreadable(error)
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
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # `--pipeline` is what people type; Kedro would rather have `--pipelines`.
    warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")
    # The tables read `partition_0.classification_report` and so on from outside its namespace.
    warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
