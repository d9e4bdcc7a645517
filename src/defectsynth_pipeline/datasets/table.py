"""`TableDataset` keeps a table as CSV that both people and the next node can read."""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from kedro.io.core import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import TablePreview

from defectsynth_pipeline.schemas import SCHEMAS, empty_table, read_table

logger = logging.getLogger(__name__)


class TableDataset(AbstractVersionedDataset[pd.DataFrame, pd.DataFrame]):
    """A CSV whose columns and types `schemas.SCHEMAS` says; written aside and moved into place.

    Examples:
        ```yaml
        samples:
          type: defectsynth_pipeline.datasets.TableDataset
          table: samples
          filepath: data/02_intermediate/samples.csv
          versioned: true
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        table: str,
        optional: bool = False,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Set up the dataset.

        Args:
            filepath: The folder of all versions, or the one file without versions.
            table: Name of the schema.
            optional: Load an empty table where none was written yet.
            version: Which version to load and save.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.

        Raises:
            DatasetError: There is no such schema.
        """
        if table not in SCHEMAS:
            raise DatasetError(f"no table is called '{table}'; known: {', '.join(SCHEMAS)}")
        self._table, self._optional = table, optional
        self.metadata = metadata
        super().__init__(filepath=PurePosixPath(filepath), version=version)

    def load(self) -> pd.DataFrame:
        """Read the table with its types.

        Raises:
            InputError: The file is of another layout, or holds what is no number.
        """
        if self._optional and not self._exists():
            logger.warning("there is no %s yet", self._filepath)
            return empty_table(self._table)
        return read_table(Path(self._get_load_path()), self._table)

    def save(self, data: pd.DataFrame) -> None:
        """Write beside the target and move into place, so that no half table is ever a version."""
        target = Path(self._get_save_path())
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".partial-{target.name}")
        data.to_csv(partial, index=False)
        partial.replace(target)

    def preview(self, nrows: int = 50) -> TablePreview:
        """The first rows for Kedro-Viz."""
        return self.load().head(nrows).to_dict(orient="split")

    def _exists(self) -> bool:
        try:
            return Path(self._get_load_path()).is_file()
        except DatasetError:
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "table": self._table, "version": self._version}
