"""The terminal: an input error speaks for itself, anything else keeps its traceback."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.framework.hooks import _create_hook_manager
from kedro.framework.hooks.manager import _register_hooks
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.console import NodeLog, find_input_error, quiet_libraries
from defectsynth_pipeline.hooks.mistyped import what_was_mistyped

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
    (line,) = done.stderr.splitlines()
    assert line.endswith("the mask is empty; file: a.png; value: 0; remedy: draw it")


@pytest.mark.parametrize(
    ("raised", "variables"), [(BAD_MASK, {"DEFECTSYNTH_TRACEBACK": "1"}), ("1 / 0", {})]
)
def test_the_traceback_is_there_when_asked_for_and_for_other_errors(raised, variables):
    done = ended(raised, **variables)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "wrapped by the framework" in done.stderr


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_takes_nothing_is_one_wherever_it_is_met(code):
    error = RuntimeError("wrapped")
    error.__cause__ = OSError(code, os.strerror(code), "data/x.npz")
    found = find_input_error(error)
    assert found is not None
    assert (str(found.file), found.value) == ("data/x.npz", os.strerror(code))
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "part.png")
    assert find_input_error(denied) is None


def test_a_node_is_announced_in_one_line(caplog):
    quiet_libraries()
    caplog.set_level("INFO")
    caplog.set_level("INFO", "kedro.pipeline")
    caplog.set_level("INFO", "kedro.runner")
    pipeline = Pipeline([Node(abs, "x", "y", name="first"), Node(abs, "y", "z", name="second")])
    catalog = DataCatalog({name: MemoryDataset(-1) for name in "xyz"})
    manager = _create_hook_manager()
    _register_hooks(manager, (NodeLog(),))
    manager.hook.before_pipeline_run(run_params={}, pipeline=pipeline, catalog=catalog)
    SequentialRunner().run(pipeline, catalog, manager)
    assert caplog.messages[:2] == ["1/2 first", "2/2 second"]
    assert len(caplog.messages) == 3
    assert "successfully" in caplog.messages[2]


def test_a_mistyped_pipeline_is_named_with_the_nearest():
    configure_project("defectsynth_pipeline")
    pipelines.set_requested(["augmnt"])
    try:
        with pytest.raises(InputError, match="no such pipeline; value: augmnt") as caught:
            pipelines["augmnt"]
    finally:
        pipelines.set_requested(None)
    assert caught.value.remedy == "did you mean augment?"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to_outputs": ["verdit"]}, r"named \['verdit'\]; remedy: did you mean verdict\?"),
        ({"node_names": ["xyzzy"]}, r"nodes named \['xyzzy'\]; remedy: see `kedro registry"),
        ({"to_outputs": ["table_x"]}, r"named \['table_x'\]; remedy: add --pipeline=tables"),
    ],
)
def test_a_name_that_nothing_has_is_told_with_the_nearest(options, said):
    configure_project("defectsynth_pipeline")
    with pytest.raises(ValueError, match="does not contain") as caught:
        pipelines["__default__"].filter(**options)
    assert re.search(said, str(what_was_mistyped(caught.value)))


def test_a_mistyped_environment_is_told_with_the_nearest(repository):
    loader = OmegaConfigLoader(str(repository / "conf"), env="smok", base_env="base")
    with pytest.raises(MissingConfigException) as caught:
        loader["parameters"]
    assert "value: smok; remedy: did you mean smoke?" in str(what_was_mistyped(caught.value))


def test_what_kedro_offers_to_copy_runs():
    configure_project("defectsynth_pipeline")
    nodes = pipelines["__default__"].filter(to_outputs=["verdict"]).nodes
    assert [node.name for node in nodes][-1] == "judging.judge"


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
