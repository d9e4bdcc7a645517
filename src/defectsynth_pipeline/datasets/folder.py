"""What datasets of a folder per version share: a place, and a size that is true.

Kedro-Viz asks the file system for the size of what a dataset calls `filepath`. A folder's own entry
is 4 KB whatever is in it: these datasets name themselves in a file system that adds up the files.
"""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from kedro.io.core import AbstractVersionedDataset, DatasetError, Version, get_protocol_and_path

from defectsynth_pipeline.publishing import written_whole

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "defectsynth"
"""Copies of what lies in object stores."""

In = TypeVar("In")
Out = TypeVar("Out")


class FolderSizes(LocalFileSystem):
    """The local files, where the size of a folder is that of all files in it."""

    protocol = "folder"

    def size(self, path: str) -> int:
        """Bytes of a file, or of all files of a folder."""
        files = self.find(path, detail=True)
        return sum(int(told["size"]) for told in files.values())

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("folder://")))


fsspec.register_implementation(FolderSizes.protocol, FolderSizes, clobber=True)


class FolderDataset(AbstractVersionedDataset[In, Out], Generic[In, Out]):
    """A folder per version, of this machine or in an object store.

    An object store has no folders and renames nothing: there a version is what its last file, which
    is uploaded last, says is there. It is read through a copy on this machine, fetched once.
    """

    last = "published.json"
    """Publishes a version in an object store; written there if the folder has no such file."""

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None,
        metadata: dict[str, Any] | None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
    ) -> None:
        """Set up the dataset; see the classes for what the arguments are.

        Raises:
            DatasetError: It is to lie in an object store that needs a package that is not there.
        """
        self._protocol, path = get_protocol_and_path(filepath, version)
        self.metadata = metadata
        if self._protocol == "file":
            super().__init__(filepath=PurePosixPath(path), version=version)
            return
        try:
            self._fs = fsspec.filesystem(self._protocol, **(credentials or {}), **(fs_args or {}))
        except ImportError as error:
            extra = "pip install 'defectsynth-pipeline[s3]'"
            raise DatasetError(f"'{filepath}': {error}; {extra}") from error
        super().__init__(
            filepath=PurePosixPath(path),
            version=version,
            exists_function=self._is_published,
            glob_function=self._fs.glob,
        )

    @property
    def filepath(self) -> str | None:
        """The folder for Kedro-Viz to measure; None where nothing was saved on this machine."""
        if self._protocol != "file" or not self._exists():
            return None
        return f"{FolderSizes.protocol}://{self._folder().as_posix()}"

    def _folder(self) -> Path:
        """The folder of the version to load, fetched if need be."""
        path = self._get_load_path()
        if self._protocol == "file":
            return Path(path)
        copy = self._copy_of(path)
        if self._version is None or not copy.is_dir():
            with written_whole(copy) as aside:
                self._fs.get(f"{path}/", f"{aside}/", recursive=True)
        return copy

    def _copy_of(self, path: PurePosixPath) -> Path:
        """Where the copy of a folder in an object store lies on this machine."""
        return CACHE / self._protocol / path.as_posix().lstrip("/")

    def _upload(self, folder: Path) -> None:
        """Send a finished folder to the object store, its last file last."""
        target = self._get_save_path().as_posix()
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in files]
        for path, name in zip(files, names, strict=True):
            if name != self.last:
                self._fs.put_file(str(path), f"{target}/{name}")
        if self.last in names:
            self._fs.put_file(str(folder / self.last), f"{target}/{self.last}")
        else:
            self._fs.pipe_file(f"{target}/{self.last}", json.dumps({"files": names}).encode())
        self._fs.invalidate_cache()

    def _is_published(self, path: str) -> bool:
        return bool(self._fs.exists(f"{path}/{self.last}"))

    def _exists(self) -> bool:
        try:
            path = self._get_load_path()
        except DatasetError:
            return False
        return Path(path).is_dir() if self._protocol == "file" else self._is_published(str(path))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "protocol": self._protocol, "version": self._version}
