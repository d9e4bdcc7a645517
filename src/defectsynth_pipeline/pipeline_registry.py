"""The project's pipelines: one per folder of `pipelines/`."""

from __future__ import annotations

from pathlib import Path

from kedro.framework.project import find_pipelines
from kedro.framework.project import pipelines as registered
from kedro.pipeline import Pipeline

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.mistyped import nearest

FOLDER = Path(__file__).parent / "pipelines"


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines by name; without a name `kedro run` runs `augment` and then `downstream`.

    Raises:
        InputError: A pipeline was asked for that there is not.
    """
    known = sorted(path.parent.name for path in FOLDER.glob("*/__init__.py"))
    for name in registered._requested_pipelines or ():
        if name not in [*known, "__default__"]:
            raise InputError("there is no such pipeline", value=name, remedy=nearest(name, known))
    pipelines = find_pipelines(raise_errors=True)
    if "__default__" in pipelines:
        pipelines["__default__"] = pipelines["augment"] + pipelines["downstream"]
    return pipelines
