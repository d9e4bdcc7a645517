"""What datasets of a folder per version share: a local place, and a size that is true.

Kedro-Viz asks the file system for the size of what a dataset calls `filepath`. A folder's own entry
is 4 KB whatever is in it: these datasets name themselves in a file system that adds up the files.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from kedro.io.core import AbstractVersionedDataset, DatasetError, Version, get_protocol_and_path

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
    """A local folder per version."""

    def __init__(
        self, *, filepath: str, version: Version | None, metadata: dict[str, Any] | None
    ) -> None:
        """Set up the dataset; see the classes for what the arguments are.

        Raises:
            DatasetError: It is to lie in an object store.
        """
        protocol, path = get_protocol_and_path(filepath, version)
        if protocol != "file":
            kind = type(self).__name__
            raise DatasetError(f"{kind} at '{filepath}' needs a folder of this machine")
        self.metadata = metadata
        super().__init__(filepath=PurePosixPath(path), version=version)

    @property
    def filepath(self) -> str | None:
        """The folder for Kedro-Viz to measure; None where nothing was saved."""
        if not self._exists():
            return None
        return f"{FolderSizes.protocol}://{self._folder().as_posix()}"

    def _folder(self) -> Path:
        return Path(self._get_load_path())

    def _exists(self) -> bool:
        try:
            return self._folder().is_dir()
        except DatasetError:
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}
