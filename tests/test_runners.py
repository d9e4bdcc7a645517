"""Every runner of Kedro gives the same images, or is refused at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

from refusals import refused
from sessions import every_image, make_project, open_catalog, open_session, versions, write_own

SMALL: dict[str, Any] = {"masks": {"count": 4}, "synthesis": {"count": 2, "trials": 1}}
SMALL |= {"finetune": {"steps": 2}}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_own(tmp_path_factory.mktemp("raw") / "parts").as_posix()


def run_with(runner: Any, project: Path, parts: str) -> Any:
    with open_session(project, {"root": parts, **SMALL}) as session:
        session.run(pipeline_names=["augment"], runner=runner)
    return open_catalog(project)


def test_loading_and_saving_beside_one_another_changes_nothing(
    tmp_path: Path, mlflow_template: Path, parts: str
) -> None:
    found = []
    for is_async in (False, True):
        project = make_project(tmp_path / str(is_async), mlflow_template)
        catalog = run_with(SequentialRunner(is_async=is_async), project, parts)
        found.append(every_image(catalog.load("synthetic_images")))
    pd.testing.assert_frame_equal(*found)


@pytest.mark.parametrize("runner", [ThreadRunner, ParallelRunner])
@pytest.mark.parametrize("is_async", [False, True])
def test_nodes_beside_one_another_are_refused(
    project: Path, parts: str, runner: Any, is_async: bool
) -> None:
    with refused("beside one another", remedy="use --runner=SequentialRunner"):
        run_with(runner(is_async=is_async), project, parts)
    assert versions(project) == {}
