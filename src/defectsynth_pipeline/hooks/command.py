"""The one line that repeats a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from kedro.io.core import AbstractVersionedDataset

from defectsynth_pipeline.hooks.memory import lost_nodes
from defectsynth_pipeline.hooks.mlflow_run import flatten

# What Kedro hands to hooks -> the option of `kedro run` that it came from.
_OPTIONS = {
    "tags": "tags",
    "namespaces": "namespaces",
    "node_names": "nodes",
    "from_nodes": "from-nodes",
    "to_nodes": "to-nodes",
    "from_inputs": "from-inputs",
    "to_outputs": "to-outputs",
}


def is_versioned(dataset: Any) -> bool:
    """Whether an entry keeps versions."""
    return isinstance(dataset, AbstractVersionedDataset) and dataset._version is not None


def read_by(pipeline: Any, catalog: Any) -> set[str]:
    """What a run reads and does not make, itself or to fill the memory first."""
    names: set[str] = (pipeline + lost_nodes(pipeline, catalog)).inputs()
    return names


def repeating_command(run_params: Mapping[str, Any], pipeline: Any, catalog: Any) -> str:
    """Return the `kedro run` that makes the same again from the same versions.

    Args:
        run_params: As Kedro gives them to `before_pipeline_run`, like the others.
        pipeline: What is run.
        catalog: Its entries, pinned.
    """
    versions = {
        name: catalog[name].resolve_load_version()
        for name in read_by(pipeline, catalog)
        if is_versioned(catalog.get(name)) and catalog.exists(name)
    }
    names = run_params.get("pipeline_names") or []
    given = {"pipeline" if len(names) == 1 else "pipelines": names, "env": run_params.get("env")}
    given |= {option: run_params.get(name) for name, option in _OPTIONS.items()}
    given["load-versions"] = [f"{name}:{version}" for name, version in sorted(versions.items())]
    runtime = flatten(run_params.get("runtime_params") or {})
    given["params"] = [f"{name}={_value(value)}" for name, value in runtime.items()]
    words = [
        shlex.quote(f"--{name}={value if isinstance(value, str) else ','.join(value)}")
        for name, value in given.items()
        if value
    ]
    return " ".join(["kedro", "run", *words])


def _value(value: Any) -> str:
    """A value as `--params` takes it; a list is its items, as in "base geometric"."""
    if isinstance(value, list | tuple):
        return " ".join(map(_value, value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
