"""The MLflow hook: parameters, metrics, curves, artifacts, dataset versions and code of a run."""

from __future__ import annotations

import atexit
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.command import repeating_command
from defectsynth_pipeline.hooks.headlines import (
    SECTIONS,
    description,
    facts_in,
    headline,
    platform_facts,
    run_name,
)
from defectsynth_pipeline.hooks.machine import MachineWatch
from defectsynth_pipeline.hooks.mlflow_run import VERSION, MlflowRun, flatten
from defectsynth_pipeline.hooks.records import RUNS
from defectsynth_pipeline.hooks.redact import redact, redact_command
from defectsynth_pipeline.hooks.seen import of_samples, of_version
from defectsynth_pipeline.hooks.store import tracking_uri

logger = logging.getLogger(__name__)
NOTE = "mlflow.note.content"
IMAGES = "synthetic_images"


class _Current:
    """The run that `live_metrics` writes to, none outside a tracked session, and for what part.

    `part` is the partition that the node belongs to, such as "partition_1", or "".
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
    run = parent and parent.child(f"{_Current.part} / {name}" if _Current.part else name)
    if run is None:
        yield lambda step, values: None
        return
    run.params({**params, **({"part": _Current.part} if _Current.part else {})})
    try:
        yield lambda step, values: run.metrics(values, step=step)
    except BaseException:
        run.close("FAILED")
        raise
    run.close("FINISHED")


class MlflowTracking:
    """Kedro hooks; configured by `conf/<env>/mlflow.yml`.

    `metadata: {mlflow: artifact}` in the catalog sends an entry's file to MLflow, `{mlflow: table}`
    also what it holds, which MLflow shows beside that of other runs; what else it shows of a run is
    in `headlines`.
    """

    def __init__(self) -> None:
        self._config: dict[str, Any] = {"enabled": False}
        self._project = Path.cwd()
        self._catalog: Any = None
        self._run: MlflowRun | None = None
        self._untracked: InputError | None = None
        self._versions: dict[str, dict[str, str]] = {}
        self._facts: dict[str, str] = {}
        self._command = ""
        self._text: dict[str, str] = {}
        self._watch: MachineWatch | None = None

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Read the configuration only, so that commands that run nothing stay fast."""
        self._config = context.config_loader["mlflow"]
        self._project = context.project_path

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        """Start a run with its tags and parameters; without a usable store go on untracked."""
        self._end("KILLED")
        if not self._config["enabled"]:
            return
        self._catalog, self._versions = catalog, {"load": {}, "save": {}}
        names = sorted(name for name in pipeline.inputs() if name.startswith("params:"))
        params = flatten({name.removeprefix("params:"): catalog.load(name) for name in names})
        self._command = redact(repeating_command(run_params, pipeline, catalog))
        # The description, which MLflow shows above all else.
        tags = _tags(run_params, self._project) | {NOTE: f"`{self._command}`"}
        if "base_model" in pipeline.inputs():
            tags["base_model"] = str(catalog["base_model"]._describe().get("model"))
        slices = run_params.get("tags") or run_params.get("pipeline_names") or ["default"]
        self._facts = {"pipeline": ", ".join(slices)}
        self._text = {}
        if "synthesis.count" in params and IMAGES in pipeline.all_outputs():
            self._facts["images"] = str(params["synthesis.count"])
        try:
            run = MlflowRun.start(
                tracking_uri(self._config, self._project),
                experiment=self._config["experiment"],
                name=run_name(self._facts),
                tags=tags,
            )
        except InputError as error:
            self._untracked = error
            logger.warning("this run is not recorded in MLflow: %s", error)
            return
        self._run = _Current.run = run
        self._watch = MachineWatch(lambda values, step: run.metrics(values, step=step))
        atexit.register(self._end, "KILLED")
        self._run.params({**params, **flatten(run_params.get("runtime_params") or {})})

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        """Note the part of the pipeline that the node belongs to."""
        outer = (node.namespace or "").partition(".")[0]
        _Current.part = outer if outer.startswith("partition_") else ""

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Note the version that was read, and what it tells of the run."""
        if self._run is None or dataset_name in self._versions["load"]:
            return
        version = self._note("load", dataset_name)
        self._learn(dataset_name, data)
        made_here = dataset_name in self._versions["save"]
        if version is not None and dataset_name != "samples" and not made_here:
            source = str(self._catalog[dataset_name]._filepath)
            self._run.dataset(of_version(dataset_name, version, source, data))

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note the version that was written and send what MLflow is to show of it."""
        if self._run is None:
            return
        self._note("save", dataset_name)
        self._learn(dataset_name, data)
        self._run.metrics(headline(dataset_name, data))
        dataset = self._catalog[dataset_name]
        kind = (getattr(dataset, "metadata", None) or {}).get("mlflow")
        protocol = getattr(dataset, "_protocol", "file")
        if kind in ("artifact", "table") and protocol != "file":  # it lies where others find it
            self._run.tags({f"stored.{dataset_name}": f"{protocol}://{_saved_path(dataset)}"})
        elif kind in ("artifact", "table"):
            self._run.artifact(dataset_name, _saved_path(dataset))
        self._describe(dataset_name, data)
        if dataset_name in ("verdict", "verdict_page"):
            self._tell_the_maker(dataset_name, data)
        if kind == "table":
            self._run.table(dataset_name, data)
        elif kind not in ("artifact", None):
            raise InputError(
                "a catalog entry asks MLflow for something unknown",
                file=f"catalog entry {dataset_name}",
                value=kind,
                remedy="write metadata: {mlflow: artifact} or {mlflow: table}",
            )

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the run."""
        self._end("FINISHED")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Close the run as failed and say why."""
        if self._run is not None:
            self._run.tags({"error": f"{type(error).__name__}: {error}"})
        self._end("FAILED")

    def _describe(self, name: str, data: Any) -> None:
        """Write the run's text of the entries that are there yet, and show their pictures."""
        if name not in SECTIONS or self._run is None:
            return
        picture = f"![{name}](get-artifact?path={name}/{name}.png&run_uuid={self._run.id})"
        self._text[name] = description(name, data) or picture
        self._run.tags({NOTE: _written(self._text, self._command)})

    def _tell_the_maker(self, name: str, data: Any) -> None:
        """Let the run that made the images show the verdict too: there versions are compared."""
        version = self._versions["load"].get(IMAGES)
        if self._run is None or version is None or IMAGES in self._versions["save"]:
            return
        maker = self._run.maker(version)
        if maker is None:
            return
        maker.metrics(headline(name, data))
        if text := description(name, data):
            heading = f"### {SECTIONS[name]}"
            told = maker.tag(NOTE) or ""
            own = told[told.find("\n### ") + 1 :] if told.startswith(heading) else told
            note = {NOTE: f"{heading}\n\n{text}\n\n{own}", "judged_by": self._run.id}
            maker.tags(note | facts_in(name, data))

    def _learn(self, name: str, data: Any) -> None:
        """Tag the run with what an entry tells, and name it after that."""
        if name == "samples" and self._run is not None:
            self._run.dataset(of_samples(data))
        new = {k: v for k, v in facts_in(name, data).items() if self._facts.get(k) != v}
        if new and self._run is not None:
            self._facts |= new
            self._run.tags(new)
            self._run.rename(run_name(self._facts))

    def _note(self, way: str, name: str) -> str | None:
        dataset = self._catalog[name]
        resolve = getattr(dataset, f"resolve_{way}_version", None)
        version = resolve() if resolve is not None and dataset.exists() else None
        if version is not None:
            self._versions[way][name] = version
        return version

    def _end(self, status: str) -> None:
        if self._untracked is not None:
            logger.warning("this run was not recorded in MLflow: %s", self._untracked)
            self._untracked = None
        if self._run is None:
            return
        run, self._run, _Current.run = self._run, None, None
        if self._watch is not None:
            self._watch.stop()
        run.tags(platform_facts())
        run.end(status, self._versions)
        atexit.unregister(self._end)


def _written(text: Mapping[str, str], command: str) -> str:
    """The text of a run: its sections in their order, and the command that makes it again."""
    parts = []
    for name, heading in SECTIONS.items():
        if name in text:
            parts += [f"### {heading}", text[name]] if heading else [text[name]]
    return "\n\n".join([*parts, f"`{command}`"])


def _saved_path(dataset: Any) -> Path:
    """Where this run wrote; the load path may be pinned to an older version."""
    version = dataset.resolve_save_version()
    return Path(dataset._get_versioned_path(version) if version else dataset._filepath)


def _tags(run_params: Mapping[str, Any], project: Path) -> dict[str, str]:
    command = redact_command([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {
        "pipeline": ", ".join(run_params.get("pipeline_names") or ["__default__"]),
        "env": run_params.get("env") or "local",
        "kedro.version": run_params["kedro_version"],
        VERSION: run_params["run_id"],
        "record": (RUNS / f"{run_params['run_id']}.json").as_posix(),
        "command": command,
        "mlflow.source.name": command,
        "mlflow.source.type": "LOCAL",
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
