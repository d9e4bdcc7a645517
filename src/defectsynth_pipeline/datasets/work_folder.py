"""`WorkFolderDataset` hands a node the folder for what it needs to go on after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from kedro.io.core import AbstractDataset, DatasetError


class WorkFolderDataset(AbstractDataset[NoReturn, Path]):
    """A folder that outlives the run: checkpoints, caches. Not versioned, nobody's result.

    Examples:
        ```yaml
        finetune_checkpoints:
          type: defectsynth_pipeline.datasets.WorkFolderDataset
          filepath: data/06_models/finetune_checkpoints
        ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Set up the dataset.

        Args:
            filepath: The folder.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """The folder, made if it is not there."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        return self._filepath

    def save(self, data: NoReturn) -> None:
        """Refuse: nodes write into the folder they load.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError(f"'{self._filepath}' is a work folder: take it as an input, not output")

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath.as_posix()}
