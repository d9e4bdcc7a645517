"""The MLflow hook: parameters, metrics, curves, artifacts, dataset versions and code of a run."""

from __future__ import annotations

import atexit
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.command import repeating_command
from defectsynth_pipeline.hooks.mlflow_run import MlflowRun, flatten, tracking_uri


class _Current:
    """The run that `live_metrics` writes to, none outside a tracked session, and for what part.

    `part` is the namespace around the node's own, such as "partition_1", or "".
    """

    run: MlflowRun | None = None
    part = ""


def live_metrics(step: int, values: Mapping[str, float]) -> None:
    """Log points of curves while a node runs; does nothing when no run is tracked.

    Nodes hand this function to the trainers, which know nothing of MLflow.

    Args:
        step: The training step.
        values: Metric name to value.
    """
    if _Current.run is not None:
        part = _Current.part and f"{_Current.part}."
        _Current.run.metrics({part + name: value for name, value in values.items()}, step=step)


@contextmanager
def nested_run(
    name: str, params: Mapping[str, object]
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """A run of its own below the session's, for one training; untracked sessions log nothing.

    Args:
        name: The run's name, after that of the part.
        params: Its parameters.

    Yields:
        A function of step and values, as `live_metrics`.
    """
    parent = _Current.run
    if parent is None:
        yield lambda step, values: None
        return
    run = parent.child(f"{_Current.part} / {name}" if _Current.part else name)
    run.params({**params, **({"part": _Current.part} if _Current.part else {})})
    try:
        yield lambda step, values: run.metrics(values, step=step)
    except BaseException:
        run.close("FAILED")
        raise
    run.close("FINISHED")


class MlflowTracking:
    """Kedro hooks; configured by `conf/<env>/mlflow.yml`.

    A catalog entry says what goes to MLflow: `metadata: {mlflow: metrics}` for a mapping or a
    table (curves, if it has a column `step`), `metadata: {mlflow: artifact}` for its file.
    """

    def __init__(self) -> None:
        self._config: dict[str, Any] = {"enabled": False}
        self._project = Path.cwd()
        self._catalog: Any = None
        self._run: MlflowRun | None = None
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
        self._run = MlflowRun.start(
            tracking_uri(self._config, self._project),
            experiment=self._config["experiment"],
            name=run_params["run_id"],
            tags={
                # The description, which MLflow shows above all else.
                "mlflow.note.content": f"`{repeating_command(run_params, pipeline, catalog)}`",
                **_tags(run_params, self._project),
            },
        )
        _Current.run = self._run
        atexit.register(self._end, "KILLED")
        names = sorted(name for name in pipeline.inputs() if name.startswith("params:"))
        values = {name.removeprefix("params:"): catalog.load(name) for name in names}
        self._run.params({**flatten(values), **flatten(run_params.get("runtime_params") or {})})

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        """Note the part of the pipeline that the node belongs to."""
        _Current.part = (node.namespace or "").rpartition(".")[0]

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
        version = resolve() if resolve is not None and dataset.exists() else None
        if version is not None:
            self._versions[way][name] = version

    def _end(self, status: str) -> None:
        if self._run is None:
            return
        run, self._run, _Current.run = self._run, None, None
        run.end(status, self._versions)
        atexit.unregister(self._end)


def _saved_path(dataset: Any) -> Path:
    """Where this run wrote; the load path may be pinned to an older version."""
    version = dataset.resolve_save_version()
    return Path(dataset._get_versioned_path(version) if version else dataset._filepath)


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
