"""Rows of tables."""

from __future__ import annotations

from defectsynth_pipeline.schemas import SCHEMAS


def row_of(table: str, **given: object) -> dict[str, object]:
    """A row of a table: nothing, 0, or what is given."""
    return {n: "" if k == "str" else 0 for n, k in SCHEMAS[table].columns.items()} | given
