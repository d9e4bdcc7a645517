"""`VersionHistoryDataset` reads all versions of a table at once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
from kedro.io.core import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from defectsynth_pipeline.errors import InputError

logger = logging.getLogger(__name__)


class VersionHistoryDataset(AbstractDataset[NoReturn, pd.DataFrame]):
    """Every version of a versioned CSV entry below each other, with a column `version`.

    Examples:
        ```yaml
        localization_versions:
          type: defectsynth_pipeline.datasets.VersionHistoryDataset
          filepath: data/08_reporting/localization_report.csv
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        load_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Set up the dataset.

        Args:
            filepath: The `filepath` of the versioned entry.
            load_args: Keyword arguments of `pandas.read_csv`.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.
        """
        self._filepath = Path(filepath)
        self._load_args = load_args or {}
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Read all versions, oldest first; empty, with a warning, if there is none.

        Raises:
            InputError: A version cannot be read, as after a kill while it was written.
        """
        paths = self._paths()
        if not paths:
            logger.warning("there is no version of %s yet", self._filepath)
            return pd.DataFrame({"version": pd.Series(dtype=str)})
        tables = [self._read(path).assign(version=path.parent.name) for path in paths]
        # A table without rows knows no types and would blur those of the others.
        return pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True)

    def save(self, data: NoReturn) -> None:
        """Refuse: versions are written by the entry itself.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError(f"the versions of '{self._filepath}' are read only here")

    def preview(self, nrows: int = 50) -> TablePreview:
        """The newest rows for Kedro-Viz."""
        return self.load().tail(nrows).to_dict(orient="split")

    def _paths(self) -> list[Path]:
        return sorted(path for path in self._filepath.glob(f"*/{self._filepath.name}"))

    def _read(self, path: Path) -> pd.DataFrame:
        try:
            return pd.read_csv(path, **self._load_args)
        except (ValueError, OSError) as error:
            raise InputError(
                "a version of a table cannot be read",
                file=path,
                value=str(error).strip(),
                remedy=f"delete the folder {path.parent}",
            ) from error

    def _exists(self) -> bool:
        return bool(self._paths())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath.as_posix(), "load_args": self._load_args}
