"""One MLflow run: what is logged, and where the store lies.

It talks to MLflow through a client and a run id, never through MLflow's global active run, so
sessions in one process cannot write into each other's runs.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import MANIFEST

_SQLITE = "sqlite:///"
_VALUE_LIMIT = 500
_BATCH = 100


class MlflowRun:
    """A run of the store, addressed by its id."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self._id = client, run_id

    @classmethod
    def start(cls, uri: str, *, experiment: str, name: str, tags: dict[str, str]) -> MlflowRun:
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
        self.close(status)

    def child(self, name: str) -> MlflowRun:
        """Start a run that MLflow shows below this one."""
        experiment = self._client.get_run(self._id).info.experiment_id
        run = self._client.create_run(
            experiment, run_name=name, tags={"mlflow.parentRunId": self._id}
        )
        return MlflowRun(self._client, run.info.run_id)

    def close(self, status: str) -> None:
        """Close the run."""
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


def _artifact_location(uri: str) -> str | None:
    if not uri.startswith(_SQLITE):
        return None
    return (Path(uri.removeprefix(_SQLITE)).parent / "artifacts").as_uri()


def _numbers(name: str, data: Any) -> Iterator[tuple[int, dict[str, float]]]:
    """Steps and their numbers; rows without a step are named by their text columns but `note`."""
    if not isinstance(data, pd.DataFrame):
        yield 0, {f"{name}.{key}": v for key, v in flatten(data).items() if _is_number(v)}
        return
    for row in data.to_dict("records"):
        step = int(row.pop("step")) if "step" in row else 0
        row.pop("note", None)
        label = [] if "step" in data else [v for v in row.values() if isinstance(v, str)]
        head = ".".join([name, *label])
        yield step, {f"{head}.{key}": v for key, v in row.items() if _is_number(v)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


def _metric_name(name: str) -> str:
    """MLflow takes letters, digits, and a few signs."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in name)
