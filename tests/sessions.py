"""Real Kedro sessions in temporary projects, for the tests of whole runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pandas as pd
from kedro.framework.project import configure_project
from kedro.framework.session import KedroSession
from kedro.runner import SequentialRunner
from mlflow import MlflowClient

from categories import write_category
from corpora.builders import blob, texture
from defectsynth_pipeline.imagesets import ImageSet

REPOSITORY = Path(__file__).resolve().parents[1]
# Kedro sets up logging when it first meets a project; within a test that would end `caplog`.
configure_project("defectsynth_pipeline")


def make_project(folder: Path, mlflow_template: Path) -> Path:
    (folder / "mlruns").mkdir(parents=True)
    shutil.copy(mlflow_template, folder / "mlruns" / "mlflow.db")
    return folder


def run(
    project: Path,
    pipeline: str = "augment",
    *,
    node_names: list[str] | None = None,
    only_missing_outputs: bool = False,
    load_versions: dict[str, str] | None = None,
    **parameters: Any,
) -> Any:
    """One session; the catalog of a later one looks at what it left."""
    with open_session(project, parameters) as session:
        session.run(
            pipeline_names=[pipeline],
            node_names=node_names,
            only_missing_outputs=only_missing_outputs,
            load_versions=load_versions,
            runner=SequentialRunner(),
        )
    return open_catalog(project)


def open_session(project: Path, parameters: dict[str, Any] | None = None) -> KedroSession:
    conf = str(REPOSITORY / "conf")
    return KedroSession.create(
        project_path=project, conf_source=conf, env="smoke", runtime_params=parameters
    )


def open_catalog(project: Path) -> Any:
    with open_session(project) as session:
        return session.load_context().catalog


def versions(project: Path) -> dict[str, list[str]]:
    """Entry to its versions on disk; a version is `<entry>/<timestamp>/<entry>`."""
    found: dict[str, list[str]] = {}
    for path in (project / "data").glob("0[2-8]*/*/*T*Z"):
        found.setdefault(path.parent.stem, []).append(path.name)
    return found


def every_image(images: ImageSet) -> pd.DataFrame:
    """The manifest of a set, with what its certificate rejected."""
    return pd.concat([images.manifest, images.rejected], ignore_index=True)


def client_of(project: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{project}/mlruns/mlflow.db")


def runs_of(project: Path) -> list[Any]:
    client = client_of(project)
    experiment = client.get_experiment_by_name("defectsynth")
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])


def sessions_of(project: Path) -> list[Any]:
    """The runs that are nobody's training."""
    return [run for run in runs_of(project) if "mlflow.parentRunId" not in run.data.tags]


def artifact(run: Any, name: str) -> Path:
    return Path(url2pathname(urlsplit(run.info.artifact_uri).path)) / name


def write_own(root: Path) -> Path:
    """Parts as a user names them: blanks, umlauts, no digits, two types alike once made safe."""
    types = ("Kratzer tief", "裂纹", "Kratzer_tief")
    return write_category(
        root / "Größe №1 板",
        texture,
        dict.fromkeys(types, lambda seed: blob(seed) > 0),
        good=("front", "back side", "über", "x"),
        defective=("a b", "ü", "left", "right", "über alles", "z"),
        darkening=4,
    )
