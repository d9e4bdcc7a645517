"""The MLflow hook: parameters, metrics, curves, artifacts, dataset versions and code of each run.

It talks to MLflow through a client and a run id, never through MLflow's global active run, so
sessions in one process cannot write into each other's runs.
"""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.framework.hooks import hook_impl
from pydantic import BaseModel

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import MANIFEST

logger = logging.getLogger(__name__)

_SQLITE = "sqlite:///"
_VALUE_LIMIT = 500
_BATCH = 100


class _Current:
    """The run that `live_metrics` writes to; none outside a tracked session."""

    run: _Run | None = None


def live_metrics(step: int, values: Mapping[str, float]) -> None:
    """Log points of curves while a node runs; does nothing when no run is tracked.

    Nodes hand this function to the trainers, which know nothing of MLflow.

    Args:
        step: The training step.
        values: Metric name to value.
    """
    if _Current.run is not None:
        _Current.run.metrics(values, step=step)


class MlflowTracking:
    """Kedro hooks; configured by `conf/<env>/mlflow.yml`.

    A catalog entry says what goes to MLflow: `metadata: {mlflow: metrics}` for a mapping or a
    table (curves, if it has a column `step`), `metadata: {mlflow: artifact}` for its file.
    """

    def __init__(self) -> None:
        self._config: dict[str, Any] = {"enabled": False}
        self._project = Path.cwd()
        self._catalog: Any = None
        self._run: _Run | None = None
        self._versions: dict[str, dict[str, str]] = {}

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Read the configuration only, so that commands that run nothing stay fast."""
        self._config = context.config_loader["mlflow"]
        self._project = context.project_path

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        """Start a run with its tags and parameters."""
        self._end("KILLED")
        if not self._config["enabled"]:
            return
        self._catalog, self._versions = catalog, {"load": {}, "save": {}}
        self._run = _Run.start(
            tracking_uri(self._config, self._project),
            experiment=self._config["experiment"],
            name=run_params["run_id"],
            tags=_tags(run_params, self._project),
        )
        _Current.run = self._run
        atexit.register(self._end, "KILLED")
        names = sorted(name for name in pipeline.inputs() if name.startswith("params:"))
        values = {name.removeprefix("params:"): catalog.load(name) for name in names}
        self._run.params({**flatten(values), **flatten(run_params.get("runtime_params") or {})})

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str) -> None:
        """Note the version that was read."""
        if self._run is not None:
            self._note("load", dataset_name)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note the version that was written and send what the catalog marks for MLflow."""
        if self._run is None:
            return
        self._note("save", dataset_name)
        dataset = self._catalog[dataset_name]
        kind = (getattr(dataset, "metadata", None) or {}).get("mlflow")
        if kind == "metrics":
            self._run.table(dataset_name, data)
        elif kind == "artifact":
            self._run.artifact(dataset_name, _saved_path(dataset))
        elif kind is not None:
            raise InputError(
                "a catalog entry asks MLflow for something unknown",
                file=f"catalog entry {dataset_name}",
                value=kind,
                remedy="write metadata: {mlflow: metrics} or {mlflow: artifact}",
            )

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the run."""
        self._end("FINISHED")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Close the run as failed and say why."""
        if self._run is not None:
            self._run.tags({"error": f"{type(error).__name__}: {error}"[:5000]})
        self._end("FAILED")

    def _note(self, way: str, name: str) -> None:
        dataset = self._catalog[name]
        resolve = getattr(dataset, f"resolve_{way}_version", None)
        version = resolve() if resolve is not None else None
        if version is not None:
            self._versions[way][name] = version

    def _end(self, status: str) -> None:
        if self._run is None:
            return
        run, self._run, _Current.run = self._run, None, None
        run.end(status, self._versions)
        atexit.unregister(self._end)


class _Run:
    """One MLflow run, addressed by its id."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self._id = client, run_id

    @classmethod
    def start(cls, uri: str, *, experiment: str, name: str, tags: dict[str, str]) -> _Run:
        """Open the store and create experiment and run.

        Raises:
            InputError: The store cannot be opened.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        logging.getLogger("alembic").setLevel(logging.WARNING)
        try:
            client = MlflowClient(tracking_uri=uri)
            found = client.get_experiment_by_name(experiment)
            experiment_id = (
                client.create_experiment(experiment, artifact_location=_artifact_location(uri))
                if found is None
                else found.experiment_id
            )
            run = client.create_run(experiment_id, run_name=name, tags=tags)
        except MlflowException as error:
            raise InputError(
                "the MLflow store cannot be used",
                file=uri,
                value=str(error),
                remedy="mend MLFLOW_TRACKING_URI or conf/base/mlflow.yml, or set enabled: false",
            ) from error
        return cls(client, run.info.run_id)

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters, long values cut."""
        from mlflow.entities import Param

        entries = [Param(key, str(value)[:_VALUE_LIMIT]) for key, value in values.items()]
        for start in range(0, len(entries), _BATCH):
            self._client.log_batch(self._id, params=entries[start : start + _BATCH])

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Log numbers of one step in one transaction."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [
            Metric(_metric_name(key), float(value), now, step) for key, value in values.items()
        ]
        for start in range(0, len(entries), 1000):
            self._client.log_batch(self._id, metrics=entries[start : start + 1000])

    def table(self, name: str, data: Any) -> None:
        """Log a mapping or table as metrics named after the catalog entry."""
        for step, values in _numbers(name, data):
            self.metrics(values, step=step)

    def artifact(self, name: str, path: Path) -> None:
        """Log a file; of an image set only its manifest."""
        if (path / MANIFEST).exists():
            path = path / "manifest.csv"
        log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        log(self._id, str(path), artifact_path=name)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        for key, value in values.items():
            self._client.set_tag(self._id, key, value)

    def end(self, status: str, versions: Mapping[str, Any]) -> None:
        """Log the dataset versions and close the run."""
        self._client.log_dict(self._id, dict(versions), "dataset_versions.json")
        self._client.set_terminated(self._id, status)


def tracking_uri(config: Mapping[str, Any], project: Path) -> str:
    """MLFLOW_TRACKING_URI if set, else the configured one, sqlite paths below the project."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or config["tracking_uri"]
    if not uri.startswith(_SQLITE):
        return str(uri)
    path = project / uri.removeprefix(_SQLITE)
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"{_SQLITE}{path.as_posix()}"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings and pydantic models as one level, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        plain = value.model_dump() if isinstance(value, BaseModel) else value
        if isinstance(plain, Mapping) and plain:
            flat.update(flatten(plain, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = plain
    return flat


def _saved_path(dataset: Any) -> Path:
    """Where this run wrote; the load path may be pinned to an older version."""
    version = dataset.resolve_save_version()
    return Path(dataset._get_versioned_path(version) if version else dataset._filepath)


def _artifact_location(uri: str) -> str | None:
    if not uri.startswith(_SQLITE):
        return None
    return (Path(uri.removeprefix(_SQLITE)).parent / "artifacts").as_uri()


def _numbers(name: str, data: Any) -> Iterator[tuple[int, dict[str, float]]]:
    """Steps and their numbers; rows of a table without steps are named by their text columns."""
    if not isinstance(data, pd.DataFrame):
        yield 0, {f"{name}.{key}": v for key, v in flatten(data).items() if _is_number(v)}
        return
    for row in data.to_dict("records"):
        step = int(row.pop("step")) if "step" in row else 0
        label = [] if "step" in data else [v for v in row.values() if isinstance(v, str)]
        head = ".".join([name, *label])
        yield step, {f"{head}.{key}": v for key, v in row.items() if _is_number(v)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


def _metric_name(name: str) -> str:
    """MLflow takes letters, digits, and a few signs."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in name)


def _tags(run_params: Mapping[str, Any], project: Path) -> dict[str, str]:
    return {
        "pipeline": ", ".join(run_params.get("pipeline_names") or ["__default__"]),
        "env": run_params.get("env") or "local",
        "kedro.version": run_params["kedro_version"],
        "save_version": run_params["run_id"],
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:5000],
        **_code(project),
    }


def _code(project: Path) -> dict[str, str]:
    """Commit, and whether tracked files differ from it."""
    commit = _git(project, "rev-parse", "HEAD")
    if commit is None:
        return {"git.commit": "unknown"}
    changes = _git(project, "status", "--porcelain", "--untracked-files=no")
    return {
        "git.commit": commit,
        "git.dirty": str(bool(changes)).lower(),
        "mlflow.source.git.commit": commit,
    }


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
