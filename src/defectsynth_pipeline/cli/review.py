"""The review desk of a project's images."""

from __future__ import annotations

from pathlib import Path

from defectsynth_pipeline.cli.project import Project, open_project
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.review.desk import write_desk
from defectsynth_pipeline.schemas import read_table
from defectsynth_pipeline.setfiles import MANIFEST, read_manifest

SET = "synthetic_images"
DESKS = Path("data", "08_reporting", "review")
_SOURCES = ("samples", "defect_masks")


def make_desk(start: Path, version: str | None, out: Path | None) -> tuple[Path, int]:
    """Write the desk of a version of the images, the latest if none is named.

    Returns:
        The page, and how many images it shows.

    Raises:
        InputError: There is no such version, what it was made from is gone, or `out` is in use.
    """
    project = open_project(start)
    part, version = _find(project, version)
    made_from = project.made_from(SET, version, part, _SOURCES)
    paths = {name: project.path(name, made_from.get(name, "none"), part) for name in _SOURCES}
    for name, path in paths.items():
        if not path.exists():
            raise InputError(
                f"the {name} that the images were made from are gone",
                file=path,
                remedy="restore them; `defectsynth prune` never deletes what a kept set needs",
            )
    folder = out or project.folder / DESKS / part / version
    count = write_desk(
        folder.absolute(),
        ImageSet.open(project.path(SET, version, part)),
        read_table(paths["samples"], "samples"),
        read_manifest(paths["defect_masks"] / MANIFEST),
        version,
    )
    return folder.absolute() / "index.html", count


def _find(project: Project, wanted: str | None) -> tuple[str, str]:
    """The partition ("" for none) and the version."""
    parts = project.parts(SET)
    found = [(version, part) for part in parts for version in project.versions(SET, part)]
    found.sort(reverse=True)
    for version, part in found:
        if wanted in (None, version):
            return part, version
    if not found:
        raise InputError(
            "there are no images to review yet",
            file=project.folder,
            remedy="run `defectsynth augment` first",
        )
    raise InputError(
        "there is no such version of the images",
        file=project.folder,
        value=wanted,
        remedy=f"name one of {', '.join(version for version, _ in found[:5])}",
    )
