"""The terminal: an input error speaks for itself, anything else keeps its traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.console import find_input_error

PROGRAM = """
import logging
from defectsynth_pipeline.hooks.console import show_input_errors
from defectsynth_pipeline.errors import InputError
logging.basicConfig(format="%(levelname)s %(message)s")
show_input_errors()
try:
    {raised}
except Exception as error:
    raise RuntimeError("wrapped by the framework") from error
"""
BAD_MASK = "raise InputError('the mask is empty', file='a.png', value=0, remedy='draw it')"


def ended(raised: str, program: str = PROGRAM, **variables: str) -> Any:
    source = Path(__file__).parents[2] / "src"
    return subprocess.run(
        [sys.executable, "-c", program.format(raised=raised)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(source), **variables},
    )


def test_an_input_error_is_shown_alone_and_the_run_fails():
    done = ended(BAD_MASK)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "ERROR the mask is empty",
        "  file: a.png",
        "  value: 0",
        "  remedy: draw it",
    ]


@pytest.mark.parametrize(
    ("raised", "variables"), [(BAD_MASK, {"DEFECTSYNTH_TRACEBACK": "1"}), ("1 / 0", {})]
)
def test_the_traceback_is_there_when_asked_for_and_for_other_errors(raised, variables):
    done = ended(raised, **variables)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "wrapped by the framework" in done.stderr


def fail_while_handling() -> None:
    try:
        raise InputError("the mask is empty", remedy="draw it")
    except InputError:
        {}["a bug"]


def test_an_error_met_while_handling_another_is_not_hidden():
    with pytest.raises(KeyError) as caught:
        fail_while_handling()
    assert find_input_error(caught.value) is None


SPLIT = (
    "from kedro.framework.cli.utils import _split_params as split; "
    "split(None, type('Option', (), {'name': 'params'}), 'prompts.defect=$')"
)
RESOLVE = (
    "from omegaconf import OmegaConf; "
    "OmegaConf.to_container(OmegaConf.create({'defect': '$'}), resolve=True)"
)


@pytest.mark.parametrize(("how", "given"), [(SPLIT, "{"), (SPLIT, "[1"), (RESOLVE, "${x}")])
def test_a_parameter_that_cannot_be_read_is_named_in_a_line(how, given):
    program = PROGRAM.partition("    raise")[0] + "    raise"
    done = ended(how.replace("$", given), program)
    assert "Traceback" not in done.stderr
    assert "a parameter or another setting cannot be read" in done.stderr
    assert given.strip("${}") in done.stderr
