"""Old versions deleted, without taking away what a kept one was made from."""

from __future__ import annotations

import logging
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from defectsynth_pipeline.cli.project import LAYERS, Project, is_version
from defectsynth_pipeline.cli.review import DESKS, SET
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.records import RUNS

logger = logging.getLogger(__name__)
_ENTRIES = LAYERS[1:]  # raw data is the user's


class Old(NamedTuple):
    """A version that may go.

    Attributes:
        entry: Its entry, with the partition before it: "partition_1.samples"; of a review desk
            that of its images, and "(desk)".
        folder: The folder of the version.
        size: Of all its files, bytes.
    """

    entry: str
    folder: Path
    size: int


def old_versions(project: Project, keep: int) -> list[Old]:
    """Return the versions that are neither among the last of their entry nor behind one of these.

    Raises:
        InputError: A kept version has no record of what it was made from.
    """
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for entry, folder in _versions(project.folder / "data"):
        found[entry][folder.name] = folder
    kept = {(entry, v) for entry, own in found.items() for v in sorted(own)[-keep:]}
    for entry, version in sorted(kept):
        part, _, name = entry.rpartition(".")
        record = project.record(name, version, part)
        if record is None and len(found[entry]) > keep:
            raise InputError(
                "it is not known what this version was made from",
                file=found[entry][version],
                remedy="it is of a run that kept no record: delete old versions of such runs by "
                "hand, or run the pipeline again",
            )
        kept |= set(record["made_from"].items()) if record is not None else set()
    desks = {f"{entry} (desk)": own for entry, own in _desks(project.folder / DESKS).items()}
    kept |= {(f"{entry} (desk)", version) for entry, version in kept}
    return [
        Old(entry, folder, sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()))
        for entry, own in sorted((found | desks).items())
        for version, folder in sorted(own.items())
        if (entry, version) not in kept
    ]


def delete(project: Project, old: list[Old]) -> None:
    """Delete versions, and the records of runs of which nothing is left."""
    for one in old:
        shutil.rmtree(one.folder)
        logger.info("deleted %s %s", one.entry, one.folder.name)
    left = {folder.name for _, folder in _versions(project.folder / "data")}
    for record in (project.folder / RUNS).glob("*.json"):
        if record.stem not in left:
            record.unlink()


def _desks(place: Path) -> dict[str, dict[str, Path]]:
    """The review desks, by the entry and the version of the images that each shows."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for folder in [*place.glob("*"), *place.glob("*/*")]:
        if is_version(folder.name) and folder.is_dir():
            part = "" if folder.parent == place else f"{folder.parent.name}."
            found[f"{part}{SET}"][folder.name] = folder
    return found


def _versions(data: Path) -> Iterator[tuple[str, Path]]:
    """Every version on disk: its entry and its folder."""
    for layer in _ENTRIES:
        for folder in sorted((data / layer).glob("*/*")) + sorted((data / layer).glob("*/*/*")):
            desk = data.parent / DESKS in folder.parents
            if desk or not (is_version(folder.name) and folder.is_dir()):
                continue
            place = folder.parent.relative_to(data / layer)
            part = f"{place.parent}." if str(place.parent) != "." else ""
            yield part + Path(place.name).stem, folder
