"""The project's pipelines: one per folder of `pipelines/`."""

from __future__ import annotations

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines by name; `kedro run` without a name runs `augment`."""
    pipelines = find_pipelines(raise_errors=True)
    if "augment" in pipelines:
        pipelines["__default__"] = pipelines["augment"]
    return pipelines
