"""Sets of generated images on disk: rendered one by one, resumed per image, published whole."""

from __future__ import annotations

import errno
import io
import json
import logging
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_image, encode_png
from defectsynth_pipeline.resumable import Progress

logger = logging.getLogger(__name__)

MANIFEST = "manifest.parquet"
REJECTED = "rejected"
_SAFE_ID = re.compile(r"[\w][\w.\-]*", re.ASCII)


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
class ImageSet:
    """A published set; pictures are read when asked for.

    Args:
        root: The folder of the set.
        manifest: One row per image, column `image_id` and what plan and records say.
    """

    root: Path
    manifest: pd.DataFrame

    @classmethod
    def open(cls, root: Path) -> ImageSet:
        """Open the set published at `root`."""
        return cls(root, pd.read_parquet(root / MANIFEST))

    @property
    def rejected(self) -> pd.DataFrame:
        """The manifest of what was rejected; without rows, and maybe columns, where nothing was."""
        path = self.root / REJECTED / MANIFEST
        return pd.read_parquet(path) if path.exists() else self.manifest.iloc[:0]

    def array(self, image_id: str, name: str) -> np.ndarray:
        """Read the picture `name` of one image, published or rejected.

        Returns:
            bool for `name == "mask"`, else its own dtype.

        Raises:
            InputError: There is none.
        """
        file = f"{name}s/{image_id}.png"
        path = self.root / file
        if not path.exists():
            path = self.root / REJECTED / file
        if not path.exists():
            raise InputError(
                f"the image set has no {name} of this image",
                file=path,
                value=image_id,
                remedy="take image_id from the manifest of the same version",
            )
        pixels = decode_image(path.read_bytes(), path)
        return pixels > 0 if name == "mask" else pixels

    def __len__(self) -> int:
        return len(self.manifest)


@dataclass(frozen=True)
class ImageSetJob:
    """A set still to be rendered: what a node returns and the dataset carries out.

    Args:
        fingerprint: Hex digest of all that decides the pixels; the same one resumes.
        plan: One row per image, column `image_id`.
        render: Yields the finished items of the given plan rows, in any order.
    """

    fingerprint: str
    plan: pd.DataFrame
    render: Callable[[pd.DataFrame], Iterator[Rendered]]


def publish(job: ImageSetJob, folder: Path, *, version: str, name: str) -> ImageSet:
    """Render what is missing and publish the whole set as `<folder>/<version>/<name>`.

    Until then everything lies in `<folder>/.partial-<fingerprint>/<name>`: a run that is killed
    leaves no version, and the next one with the same fingerprint renders only the rest.

    Raises:
        InputError: Two rows with one id, an item that was not asked for or never came, a second
            run on the same set, or a full disk.
    """
    _check_plan(job.plan)
    partial = folder / f".partial-{job.fingerprint}"
    try:
        with _locked(partial):
            _render_missing(job, partial / name)
            _write_manifest(job.plan, partial / name)
            partial.rename(folder / version)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            "the disk is full; nothing was published and what is finished is kept",
            file=partial,
            value=str(error),
            remedy="free some space and run the same command again: it renders only the rest",
        ) from error
    published = ImageSet.open(folder / version / name)
    shutil.rmtree(published.root / "records")
    logger.info("published %d images in %s", len(published), published.root)
    return published


def _check_plan(plan: pd.DataFrame) -> None:
    ids = plan["image_id"].astype(str)
    if ids.duplicated().any():
        raise InputError(
            "two planned images have the same image_id",
            value=ids[ids.duplicated()].iloc[0],
            remedy="give every row of the plan its own image_id",
        )
    unsafe = [image_id for image_id in ids if not _SAFE_ID.fullmatch(image_id)]
    if unsafe:
        raise InputError(
            "an image_id cannot be a file name",
            value=unsafe[0],
            remedy="use letters, digits, '_', '-' and '.' only",
        )


@contextmanager
def _locked(partial: Path) -> Iterator[None]:
    """Hold the folder for this process; the system lets go of the lock when the process dies."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    path = partial.with_name(f"{partial.name}.lock")
    try:
        with FileLock(path, timeout=0):
            partial.mkdir(exist_ok=True)
            yield
        path.unlink(missing_ok=True)
    except Timeout as error:
        raise InputError(
            "another run is rendering the same images",
            file=partial,
            remedy="wait for it to end, or stop it",
        ) from error


def _render_missing(job: ImageSetJob, work: Path) -> None:
    records = work / "records"
    records.mkdir(parents=True, exist_ok=True)
    for leftover in work.rglob("*.tmp"):
        leftover.unlink()
    ids = job.plan["image_id"].astype(str)
    finished = {image_id for image_id in ids if _is_complete(work, image_id)}
    missing = job.plan[~ids.isin(finished)]
    if finished:
        logger.info("resuming: %d of %d images are there", len(finished), len(ids))
    if missing.empty:
        return
    waiting = set(missing["image_id"].astype(str))
    progress = Progress("image", len(waiting))
    for done, item in enumerate(job.render(missing), start=1):
        if item.image_id not in waiting:
            raise InputError(
                "an image was rendered twice or was not in the plan",
                value=item.image_id,
                remedy="render each of the given plan rows once",
            )
        _write_item(work, item)
        waiting.remove(item.image_id)
        progress(done)
    if waiting:
        raise InputError(
            f"{len(waiting)} planned images were not rendered",
            value=sorted(waiting)[0],
            remedy="render every given plan row, or leave the row out of the plan",
        )


def _write_item(work: Path, item: Rendered) -> None:
    checksums = {}
    place = f"{REJECTED}/" if item.rejected else ""
    for name, array in item.arrays.items():
        data, file = encode_png(array), f"{place}{name}s/{item.image_id}.png"
        _write_atomically(work / file, data)
        checksums[file] = zlib.crc32(data)
    told = {"checksums": checksums, "record": item.record, REJECTED: item.rejected}
    note = json.dumps(told, default=_as_scalar)
    _write_atomically(work / "records" / f"{item.image_id}.json", note.encode())


def _is_complete(work: Path, image_id: str) -> bool:
    """Whether the record and all its pictures are there and unharmed."""
    try:
        note = json.loads((work / "records" / f"{image_id}.json").read_bytes())
        return all(
            zlib.crc32((work / file).read_bytes()) == checksum
            for file, checksum in note["checksums"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_manifest(plan: pd.DataFrame, work: Path) -> None:
    """Join plan and records; parquet keeps the types, the CSV beside it is for people.

    The manifest of what was rejected lies with it; the set's own is the last file to be written.
    """
    notes = [
        json.loads((work / "records" / f"{image_id}.json").read_bytes())
        for image_id in plan["image_id"].astype(str)
    ]
    records = pd.DataFrame([note["record"] for note in notes], index=plan.index)
    kept = plan[[column for column in plan.columns if column not in records.columns]]
    manifest = pd.concat([kept, records], axis=1)
    rejected = pd.Series([note[REJECTED] for note in notes], index=plan.index, dtype=bool)
    if rejected.any():
        _write_table(manifest[rejected], work / REJECTED)
        message = "only %d of %d images are published; %d were rejected: %s/manifest.csv says why"
        counts = (~rejected).sum(), len(plan), rejected.sum()
        logger.warning(message, *counts, REJECTED)
    _write_table(manifest[~rejected], work)


def _write_table(manifest: pd.DataFrame, folder: Path) -> None:
    buffer = io.BytesIO()
    manifest.reset_index(drop=True).to_parquet(buffer, index=False)
    _write_atomically(folder / "manifest.csv", manifest.to_csv(index=False).encode())
    _write_atomically(folder / MANIFEST, buffer.getvalue())


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def _as_scalar(value: Any) -> Any:
    """Numpy scalars as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not a JSON scalar")
