"""Image sets rendered one by one in a work folder, resumed per image, published whole."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import fingerprint
from defectsynth_pipeline.imagesets import REJECTED, ImageSet
from defectsynth_pipeline.imaging.codec import encode_png
from defectsynth_pipeline.provenance import UNKNOWN, png_text
from defectsynth_pipeline.publishing import cannot_write, move_whole
from defectsynth_pipeline.resumable import Progress
from defectsynth_pipeline.schemas import table_of
from defectsynth_pipeline.setfiles import (
    check_id,
    picture_names,
    sha256_column,
    sha256_of,
    whole_file,
    write_manifest,
)

logger = logging.getLogger(__name__)

_SET, _RECORDS = "set", "records"
_APART = ".rejected"  # no name of a record


@dataclass(frozen=True)
class Rendered:
    """One finished item.

    Args:
        image_id: The id of its plan row.
        arrays: Named pictures, written losslessly to `<name>s/<image_id>.png`: bool (H, W), or
            uint8 or uint16, (H, W) or (H, W, 3).
        record: Further manifest columns, JSON scalars.
        rejected: It is kept apart, in the set's folder `rejected`.
    """

    image_id: str
    arrays: dict[str, np.ndarray]
    record: dict[str, Any] = field(default_factory=dict)
    rejected: bool = False


@dataclass(frozen=True)
class ImageSetJob:
    """A set still to be rendered.

    Args:
        fingerprint: Hex digest of all that decides the pixels.
        plan: One row per image, column `image_id`.
        render: Yields the finished items of the given plan rows, in any order.
        execution: What may differ between runs of one set, such as the size of batches: what is
            rendered with another one is not resumed, since the last bits may be others.
        licences: Says of a row of the manifest which licences its sources have.
    """

    fingerprint: str
    plan: pd.DataFrame
    render: Callable[[pd.DataFrame], Iterator[Rendered]]
    execution: object = None
    licences: Callable[[Mapping[str, Any]], str] = lambda row: UNKNOWN


@dataclass(frozen=True)
class FinishedSet:
    """A set that is rendered and not yet published: `publish` moves it to where it is looked for.

    Args:
        work: The folder of this set's work, and of nothing else.
        images: How many will be published.
    """

    work: Path
    images: int

    @property
    def folder(self) -> Path:
        """The set as it will be published."""
        return self.work / _SET


Spread: TypeAlias = Callable[[ImageSetJob, pd.DataFrame, Path], None]  # job, rows, work folder


def render_set(job: ImageSetJob, folder: Path, spread: Spread | None = None) -> FinishedSet:
    """Render what is missing of a set in a work folder, where sets of other fingerprints may lie.

    A run that is killed goes on there: the next one of the same set renders only the rest.

    Args:
        job: The set.
        folder: Where the work folders lie.
        spread: Lets other processes do `render_rows`; without it this one does.

    Raises:
        InputError: Two rows with one id, an item that was not asked for or never came, a second
            run on the same set, a full disk or one that is read only.
    """
    _check_plan(job.plan)
    work = folder / fingerprint(job.fingerprint, job.execution)
    with _locked(work), _told_if_unwritable(work):
        _render_missing(job, work, spread)
        images = _write_manifest(job, work)
    return FinishedSet(work, images)


def publish(finished: FinishedSet, folder: Path, *, version: str, name: str) -> ImageSet:
    """Publish a finished set as `<folder>/<version>/<name>`, all of it at once.

    Raises:
        InputError: Another run has published it, a full disk or one that is read only.
    """
    root = folder / version / name
    with _locked(finished.work), _told_if_unwritable(root):
        if not finished.folder.is_dir():
            raise InputError(
                "another run has published the same images in the meantime",
                file=finished.work,
                remedy="run the same command again",
            )
        move_whole(finished.folder, root)
        shutil.rmtree(finished.work)
    published = ImageSet.open(root)
    logger.info("published %d images in %s", len(published), root)
    return published


@contextmanager
def _told_if_unwritable(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if told := cannot_write(error, place):
            raise told from error
        raise


def _check_plan(plan: pd.DataFrame) -> None:
    ids = plan["image_id"].astype(str).map(check_id)
    if ids.duplicated().any():
        raise InputError(
            "two planned images have the same image_id",
            value=ids[ids.duplicated()].iloc[0],
            remedy="give every row of the plan its own image_id",
        )


@contextmanager
def _locked(work: Path) -> Iterator[None]:
    """Hold the folder for this process; the system lets go of the lock when the process dies."""
    with _told_if_unwritable(work):
        work.parent.mkdir(parents=True, exist_ok=True)
    path = work.with_name(f"{work.name}.lock")
    try:
        with FileLock(path, timeout=0):
            yield
        path.unlink(missing_ok=True)
    except Timeout as error:
        raise InputError(
            "another run is rendering the same images",
            file=work,
            remedy="wait for it to end, or stop it",
        ) from error


def _render_missing(job: ImageSetJob, work: Path, spread: Spread | None) -> None:
    (work / _SET).mkdir(parents=True, exist_ok=True)
    for leftover in work.rglob("*.tmp"):
        leftover.unlink()
    missing = missing_rows(job.plan, work)
    if len(missing) < len(job.plan):
        done, total = len(job.plan) - len(missing), len(job.plan)
        logger.info("resuming: %d of %d images are there", done, total)
    if not missing.empty:
        (spread or render_rows)(job, missing, work)


def missing_rows(plan: pd.DataFrame, work: Path) -> pd.DataFrame:
    """The rows of a plan whose image is not in a work folder, whole and unharmed."""
    missing = [not _is_complete(work, image_id) for image_id in plan["image_id"].astype(str)]
    return plan if all(missing) else plan[missing]  # a new one is not held twice


def render_rows(job: ImageSetJob, rows: pd.DataFrame, work: Path) -> None:
    """Render some rows of a plan into a work folder.

    Raises:
        InputError: An item that was not asked for or never came, a full disk.
    """
    progress = Progress("image", len(rows))
    for done, files in enumerate(rendered_files(job, rows), start=1):
        write_files(work, files)
        progress(done)


def rendered_files(job: ImageSetJob, rows: pd.DataFrame) -> Iterator[dict[str, bytes]]:
    """Render some rows; yield the files of each image, by their place in the work folder.

    Raises:
        InputError: An item that was not asked for or never came.
    """
    waiting = {image_id: place for place, image_id in enumerate(rows["image_id"].astype(str))}
    for item in job.render(rows):
        place = waiting.pop(item.image_id, None)
        if place is None:
            raise InputError(
                "an image was rendered twice or was not in the plan",
                value=item.image_id,
                remedy="render each of the given plan rows once",
            )
        yield _files(job, item, rows.iloc[place].to_dict())
    if waiting:
        raise InputError(
            f"{len(waiting)} planned images were not rendered",
            value=sorted(waiting)[0],
            remedy="render every given plan row, or leave the row out of the plan",
        )


def write_files(work: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of one image in their order: its record, which says that it is done, last."""
    for place, data in files.items():
        with whole_file(work / place) as aside:
            aside.write_bytes(data)


def _files(job: ImageSetJob, item: Rendered, planned: Mapping[Any, Any]) -> dict[str, bytes]:
    """The pictures of one image and, last, its record with their checksums."""
    told = {**planned, **item.record, "of_set": job.fingerprint}
    told["licence"] = job.licences(told)
    text, place = png_text(told, job.fingerprint), _place(Path(), item.rejected)
    record = {**item.record, "of_set": job.fingerprint, "licence": told["licence"]}
    files = {}
    for name, array in item.arrays.items():
        data = encode_png(array, text)
        files[(place / f"{name}s" / f"{item.image_id}.png").as_posix()] = data
        record[sha256_column(name)] = sha256_of(data)
    note = {"record": record, REJECTED: item.rejected}
    files[f"{_RECORDS}/{item.image_id}.json"] = json.dumps(note, default=_as_scalar).encode()
    return files


def _place(work: Path, rejected: bool) -> Path:
    return work / _SET / REJECTED if rejected else work / _SET


def _is_complete(work: Path, image_id: str) -> bool:
    """Whether the record and all its pictures are there and unharmed."""
    try:
        note = json.loads((work / _RECORDS / f"{image_id}.json").read_bytes())
        place, record = _place(work, note[REJECTED]), note["record"]
        return all(
            sha256_of((place / f"{name}s" / f"{image_id}.png").read_bytes())
            == record[sha256_column(name)]
            for name in picture_names(record)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_manifest(job: ImageSetJob, work: Path) -> int:
    """Join plan and records; parquet keeps the types, the CSV beside it is for people.

    The manifest of what was rejected lies with it; the set's own is the last file to be written.
    Returns how many images that holds.
    """
    plan = job.plan
    notes = (
        json.loads((work / _RECORDS / f"{image_id}.json").read_bytes())
        for image_id in plan["image_id"].astype(str)
    )
    records = table_of({**note["record"], _APART: bool(note[REJECTED])} for note in notes)
    records.index = plan.index
    rejected = records.pop(_APART)
    kept = plan[[column for column in plan.columns if column not in records.columns]]
    manifest = pd.concat([kept, records], axis=1)
    if rejected.any():
        write_manifest(manifest[rejected], _place(work, True))
        message = "only %d of %d images are published; %d were rejected: %s/manifest.csv says why"
        counts = (~rejected).sum(), len(plan), rejected.sum()
        logger.warning(message, *counts, REJECTED)
    write_manifest(manifest[~rejected], _place(work, False))
    return int((~rejected).sum())


def _as_scalar(value: Any) -> Any:
    """Numpy scalars as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not a JSON scalar")
