"""One MLflow run: what is logged, and what happens when the store no longer takes it.

It talks to MLflow through a client and a run id, never through MLflow's global active run, so
sessions in one process cannot write into each other's runs.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.redact import redact, redact_setting, safe_name
from defectsynth_pipeline.hooks.seen import Seen
from defectsynth_pipeline.hooks.store import artifact_location, open_store, store_error
from defectsynth_pipeline.setfiles import MANIFEST

logger = logging.getLogger(__name__)

# Its page then shows runs and metrics, not chats.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_VALUE_LIMIT = 500
_TAG_LIMIT = 5000
_BATCH = 100
VERSION = "save_version"
_Result = TypeVar("_Result")


class _Health:
    """Where a run and those below it are recorded, or why they no longer are."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.lost: InputError | None = None


def _while_the_store_lasts(
    method: Callable[..., _Result],
) -> Callable[..., _Result | None]:
    """After a failure of the store nothing more is recorded: one line, no run stopped or slowed."""

    @wraps(method)
    def call(self: MlflowRun, *args: Any, **kwargs: Any) -> _Result | None:
        if self.health.lost is not None:
            return None
        try:
            return method(self, *args, **kwargs)
        except _store_errors() as error:
            told = store_error("MLflow failed", self.health.uri, error)
            if self.health.lost is None:  # else another thread waited for the same store
                logger.warning("nothing more of this run is recorded: %s", told)
            self.health.lost = told
            return None

    return call


def _store_errors() -> tuple[type[Exception], ...]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, SQLAlchemyError, sqlite3.Error, OSError)


class MlflowRun:
    """A run of the store, addressed by its id; once started, it raises nothing of the store's."""

    def __init__(self, client: Any, run_id: str, health: _Health) -> None:
        self._client, self._id, self.health = client, run_id, health

    @classmethod
    def start(cls, uri: str, *, experiment: str, name: str, tags: Mapping[str, str]) -> MlflowRun:
        """Open the store and create experiment and run.

        Raises:
            InputError: The store cannot be used, or not this experiment.
        """
        client = open_store(uri)
        try:
            found = client.get_experiment_by_name(experiment)
            experiment_id = (
                client.create_experiment(
                    experiment, artifact_location=artifact_location(uri), tags=_KIND
                )
                if found is None
                else found.experiment_id
            )
            run = client.create_run(experiment_id, run_name=name, tags=_tags(tags))
        except _store_errors() as error:
            raise InputError(
                "the MLflow store takes no run",
                file=redact(uri),
                value=redact(f"experiment {experiment}: {error}".split("\n")[0]),
                remedy="restore the experiment in MLflow, or name another in conf/base/mlflow.yml",
            ) from error
        return cls(client, run.info.run_id, _Health(uri))

    @_while_the_store_lasts
    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters, long values cut, secrets hidden."""
        from mlflow.entities import Param

        entries = [
            Param(safe_name(key), redact_setting(key, value)[:_VALUE_LIMIT])
            for key, value in values.items()
        ]
        for start in range(0, len(entries), _BATCH):
            self._client.log_batch(self._id, params=entries[start : start + _BATCH])

    @_while_the_store_lasts
    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Log numbers of one step in one transaction."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [Metric(safe_name(key), float(value), now, step) for key, value in values.items()]
        for start in range(0, len(entries), 1000):
            self._client.log_batch(self._id, metrics=entries[start : start + 1000])

    @_while_the_store_lasts
    def artifact(self, name: str, path: Path) -> None:
        """Log a file; of an image set only its manifest."""
        if (path / MANIFEST).exists():
            path = path / "manifest.csv"
        log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        log(self._id, str(path), artifact_path=name)

    @_while_the_store_lasts
    def table(self, name: str, data: Any) -> None:
        """Log a table (a DataFrame), which MLflow compares between runs."""
        self._client.log_table(self._id, data, f"{name}/{name}.json")

    @_while_the_store_lasts
    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags, secrets hidden."""
        for key, value in _tags(values).items():
            self._client.set_tag(self._id, key, value)

    @_while_the_store_lasts
    def rename(self, name: str) -> None:
        """Give the run another name."""
        self._client.update_run(self._id, name=name)

    @_while_the_store_lasts
    def dataset(self, seen: Seen) -> None:
        """Note data that the run works on."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": seen.source})
        read = Dataset(seen.name, seen.digest, "local", source, profile=seen.profile)
        context = [InputTag("mlflow.data.context", "input")]
        self._client.log_inputs(self._id, [DatasetInput(read, context)])

    @_while_the_store_lasts
    def maker(self, version: str) -> MlflowRun | None:
        """The run that wrote a version, of the same experiment; None where none is recorded."""
        found = self._client.search_runs(
            [self._client.get_run(self._id).info.experiment_id],
            f"tags.{VERSION} = '{version}'",
            max_results=1,
        )
        return MlflowRun(self._client, found[0].info.run_id, self.health) if found else None

    @_while_the_store_lasts
    def tag(self, name: str) -> str:
        """Return a tag of the run, "" where it has none."""
        return str(self._client.get_run(self._id).data.tags.get(name, ""))

    @property
    def id(self) -> str:
        """Its id in the store."""
        return self._id

    @_while_the_store_lasts
    def child(self, name: str) -> MlflowRun:
        """Start a run that MLflow shows below this one; None where the store no longer takes it."""
        experiment = self._client.get_run(self._id).info.experiment_id
        run = self._client.create_run(
            experiment, run_name=name, tags={"mlflow.parentRunId": self._id}
        )
        return MlflowRun(self._client, run.info.run_id, self.health)

    @_while_the_store_lasts
    def close(self, status: str) -> None:
        """Close the run."""
        self._client.set_terminated(self._id, status)

    def end(self, status: str, versions: Mapping[str, Any]) -> None:
        """Log the dataset versions and close the run, or say in the store that it is incomplete."""
        self._versions(versions)
        self.close(status)
        if self.health.lost is None:
            return
        logger.warning("this run was not recorded to its end: %s", self.health.lost)
        try:  # it may be back
            self._client.set_tag(self._id, "incomplete", f"{self.health.lost}"[:_TAG_LIMIT])
            self._client.set_terminated(self._id, status)
        except _store_errors():
            logger.warning("MLflow will show this run as running for ever")

    @_while_the_store_lasts
    def _versions(self, versions: Mapping[str, Any]) -> None:
        self._client.log_dict(self._id, dict(versions), "dataset_versions.json")


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


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    return {
        safe_name(key): redact_setting(key, value)[:_TAG_LIMIT] for key, value in values.items()
    }
