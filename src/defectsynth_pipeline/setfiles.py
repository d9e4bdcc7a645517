"""The files of an image set: its manifest read, every picture's checksum compared."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from defectsynth_pipeline.errors import InputError

MANIFEST = "manifest.parquet"
SAFE_ID = re.compile(r"\w[\w.\-]*", re.ASCII)
_SHA256 = "_sha256"
_AGAIN = "run the pipeline that makes the set again, or load another version (--load-versions)"
_verified: set[bytes] = set()  # by this process: of path, size, time and checksum, in 16 bytes


def sha256_column(name: str) -> str:
    """Column of the manifest that holds the checksums of `<name>s/<image_id>.png`."""
    return f"{name}{_SHA256}"


def picture_names(columns: Iterable[str]) -> list[str]:
    """Which pictures every image of a set has (image, mask), by the columns of its manifest."""
    return [name.removesuffix(_SHA256) for name in columns if name.endswith(_SHA256)]


def sha256_of(data: bytes) -> str:
    """Checksum of a file's content, hex."""
    return hashlib.sha256(data).hexdigest()


def check_id(image_id: object, file: Path | None = None) -> str:
    """Return an image_id that is safe as a file name.

    Raises:
        InputError: It holds a path separator, begins with a dot, or has other signs.
    """
    if isinstance(image_id, str) and SAFE_ID.fullmatch(image_id):
        return image_id
    raise InputError(
        "an image_id cannot be a file name",
        file=file,
        value=image_id,
        remedy="use letters, digits, '_', '-' and '.' only" if file is None else _AGAIN,
    )


def read_manifest(path: Path) -> pd.DataFrame:
    """Read the manifest of a set.

    Raises:
        InputError: It is missing, cut, or of an earlier release, or an image_id in it is unsafe.
    """
    try:
        manifest = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises OSError, ArrowInvalid, TypeError, ...
        raise InputError(
            "the manifest of an image set cannot be read",
            file=path,
            value=" ".join(str(error).split()),
            remedy=_AGAIN,
        ) from error
    if "image_id" not in manifest or not picture_names(manifest):
        raise InputError(
            "this is not an image set as this release writes it",
            file=path,
            value=f"no column {sha256_column('mask') if 'image_id' in manifest else 'image_id'}",
            remedy=_AGAIN,
        )
    for image_id in manifest["image_id"]:
        check_id(image_id, path)
    return manifest


def write_manifest(manifest: pd.DataFrame, folder: Path) -> None:
    """Write the manifest of a set: parquet keeps the types, the CSV beside it is for people."""
    with whole_file(folder / "manifest.csv") as aside:
        manifest.to_csv(aside, index=False)
    with whole_file(folder / MANIFEST) as aside:
        manifest.reset_index(drop=True).to_parquet(aside, index=False)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file of a work folder to be written; it is then moved into its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.tmp")
    yield aside
    aside.replace(path)


def wrong_files(folder: Path, manifest: pd.DataFrame) -> Iterator[InputError]:
    """Yield a problem per picture that is not there or not what was published.

    A file that this process has found right and whose size and time are the same is not read again.
    """
    for name in picture_names(manifest):
        pairs = zip(manifest["image_id"], manifest[sha256_column(name)], strict=True)
        for image_id, expected in pairs:
            path = folder / f"{name}s" / f"{image_id}.png"
            if (problem := _wrong(path, str(expected))) is not None:
                yield problem


def _wrong(path: Path, expected: str) -> InputError | None:
    try:
        status = path.stat()
        told = f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{expected}"
        key = hashlib.blake2b(told.encode(), digest_size=16).digest()
        if key in _verified:
            return None
        found = sha256_of(path.read_bytes())
    except OSError as error:
        value = error.strerror or type(error).__name__
        return InputError(
            "a picture of an image set cannot be read", file=path, value=value, remedy=_AGAIN
        )
    if found != expected:
        return InputError(
            "a picture of an image set was changed after it was published",
            file=path,
            value=f"{status.st_size} bytes, sha256 {found[:16]}... and not {expected[:16]}...",
            remedy=f"restore it, or {_AGAIN}; pictures of your own go in as arms.external",
        )
    _verified.add(key)
    return None
