"""The pipelines that people run, from options that people know by heart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from defectsynth_pipeline.cli.project import find_project
from defectsynth_pipeline.errors import InputError

_AUGMENT = ("masks", "synthesis")
_DOWNSTREAM = ("classification.training_set", "localization.training_set")


def augment(
    *, env: str | None, params: dict[str, Any], root: Path | None, count: int | None
) -> None:
    """Run `augment`.

    Args:
        env: Environment of conf/; None is the default one.
        params: Nested parameters; they win over `count`.
        root: Folder of parts; None leaves it to the settings.
        count: Masks and images per defect type; None leaves it to the settings.
    """
    given = _with_count(params, count, _AUGMENT)
    if root is not None:
        given["root"] = str(root.expanduser().absolute())
    run("augment", env, given)


def downstream(
    *, env: str | None, params: dict[str, Any], root: Path | None, count: int | None
) -> None:
    """Run `downstream` on the latest images.

    Args:
        env: Environment of conf/; None is the default one.
        params: Nested parameters; they win over `count`.
        root: Folder of parts that the images must be made of; None does not ask.
        count: Images of every arm per defect type; None leaves it to the settings.

    Raises:
        InputError: The latest samples are of another folder.
    """
    if root is not None:
        _check_root(root.expanduser().resolve())
    run("downstream", env, _with_count(params, count, _DOWNSTREAM))


def export(
    options: Mapping[str, Any],
    *,
    env: str | None,
    version: str | None = None,
    review: Path | None = None,
) -> None:
    """Run `export` on the latest images.

    Args:
        options: What `ExportOptions` take, those that were given.
        env: Environment of conf/; None is the default one.
        version: Of the images; None is the latest.
        review: What a person decided about them.
    """
    versions = {} if version is None else {"synthetic_images": version}
    looked = {} if review is None else {"review": str(review.expanduser().absolute())}
    run("export", env, {"export": dict(options)} | looked, versions)


def _with_count(params: dict[str, Any], count: int | None, stages: tuple[str, ...]) -> Any:
    counts = (
        []
        if count is None
        else [f"{stage}.{n}" for stage in stages for n in ("per=type", f"count={count}")]
    )
    return OmegaConf.to_container(OmegaConf.merge(OmegaConf.from_dotlist(counts), params))


def _check_root(root: Path) -> None:
    from defectsynth_pipeline.cli.project import open_project
    from defectsynth_pipeline.schemas import read_table

    project = open_project(Path.cwd())
    versions = project.versions("samples")
    again = f"run `defectsynth augment --root {root}` first"
    if not versions:
        raise InputError("there are no images to judge yet", file=project.folder, remedy=again)
    file = project.path("samples", versions[-1])
    for found in read_table(file, "samples")["root"].unique():
        if not Path(found).resolve().is_relative_to(root):
            raise InputError(
                "the latest images are made of other parts", file=file, value=found, remedy=again
            )


def run(
    pipeline: str,
    env: str | None,
    params: dict[str, Any],
    versions: Mapping[str, str] | None = None,
) -> None:
    """Run a pipeline of the project that the current folder lies in."""
    from kedro.framework.session import KedroSession
    from kedro.runner import SequentialRunner

    project = find_project(Path.cwd())
    session: Any = KedroSession.create(project_path=project, env=env, runtime_params=params)
    with session:
        session.run(
            pipeline_names=[pipeline], runner=SequentialRunner(), load_versions=versions or {}
        )
