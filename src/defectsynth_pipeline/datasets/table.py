"""`TableDataset` keeps a table as CSV that both people and the next node can read."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io.core import DatasetError
from kedro_datasets._typing import ImagePreview, TablePreview

from defectsynth_pipeline.datasets.file import FileDataset, as_preview
from defectsynth_pipeline.figures.gallery import draw_samples
from defectsynth_pipeline.figures.previews import spread
from defectsynth_pipeline.schemas import SCHEMAS, empty_table, parse_table

logger = logging.getLogger(__name__)


class TableDataset(FileDataset[pd.DataFrame, pd.DataFrame]):
    """A CSV whose columns and types `schemas.SCHEMAS` says.

    Examples:
        ```yaml
        samples:
          type: defectsynth_pipeline.datasets.TableDataset
          table: samples
          filepath: data/02_intermediate/samples.csv
          versioned: true
        ```
    """

    def __init__(self, *, table: str, optional: bool = False, **where: Any) -> None:
        """Set up the dataset.

        Args:
            table: Name of the schema.
            optional: Load an empty table where none was written yet.
            where: As `FileDataset` takes them.

        Raises:
            DatasetError: There is no such schema.
        """
        if table not in SCHEMAS:
            raise DatasetError(f"no table is called '{table}'; known: {', '.join(SCHEMAS)}")
        self._table, self._optional = table, optional
        super().__init__(**where)

    def load(self) -> pd.DataFrame:
        """Read the table with its types.

        Raises:
            InputError: The file is cut, of another layout, or holds what is no number.
        """
        if self._optional and not self._exists():
            logger.warning("there is no %s yet", self._filepath)
            return empty_table(self._table)
        return parse_table(self._read(), Path(self._get_load_path()), self._table)

    def preview(
        self, nrows: int = 200, rows: str | None = None, columns: list[str] | None = None
    ) -> TablePreview:
        """Rows for Kedro-Viz, from the first to the last: an even spread where there are more.

        Args:
            nrows: At most so many.
            rows: Only those of which this expression of pandas is true.
            columns: Only these.
        """
        table = self.load()
        shown = spread(table.query(rows) if rows else table, nrows)[columns or list(table)]
        plain = shown.map(lambda one: float(f"{one:.4g}") if isinstance(one, float) else one)
        return TablePreview(plain.astype(object).where(plain.notna(), "").to_dict(orient="split"))

    def _encode(self, data: pd.DataFrame) -> bytes:
        return str(data.to_csv(index=False)).encode("utf-8")

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "table": self._table}


class SamplesDataset(TableDataset):
    """The table `samples`, which Kedro-Viz shows as pictures.

    Examples:
        ```yaml
        samples:
          type: defectsynth_pipeline.datasets.SamplesDataset
          table: samples
          filepath: data/02_intermediate/samples.csv
          versioned: true
        ```
    """

    # Kedro-Viz alone calls it, with the entry's own `preview_args`.
    def preview(  # type: ignore[override]
        self, per_type: int = 4, side: int = 150
    ) -> ImagePreview:
        """A strip of real images per defect type, their defects outlined."""
        return as_preview(draw_samples(self.load(), per_type=per_type, side=side))
