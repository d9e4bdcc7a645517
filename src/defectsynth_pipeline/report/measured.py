"""The measures of generation quality, put into the report of the images they are about."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from defectsynth_pipeline.arms.shown import UNTOUCHED
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures.quality import draw_quality
from defectsynth_pipeline.report.inline import drawing
from defectsynth_pipeline.report.page import fill, images_of, rendered
from defectsynth_pipeline.verdict.comparison import ALL
from defectsynth_pipeline.verdict.seen import DEFECT

_SHARES = ("ic_distance", "recall", "mask_iou")


def check_page(page: str, images: str) -> None:
    """Make sure that a page is about a version of the images, before these are measured.

    Raises:
        InputError: It is about others.
    """
    if images_of(page) != images:
        raise InputError(
            "the report is not about the images that are to be measured",
            value=f"report of {images_of(page) or 'an older release'}, images of {images}",
            remedy="write it again: kedro run --pipeline=report",
        )


def _kid(row: dict[Hashable, Any]) -> str:
    """KID with its deviation over subsets, without which it ranks what it cannot."""
    return "" if pd.isna(row["kid"]) else f"{row['kid']:,.0f} ± {row['kid_std']:,.0f}"


def with_quality(page: str, table: pd.DataFrame) -> str:
    """Put the table `generation_quality` into the report of the images it is about.

    Args:
        page: From `page.image_report`.
        table: All measures.

    Raises:
        InputError: It is no such page.
    """
    whole = table[(table["defect_type"] == ALL) & (table["region"] == DEFECT)]
    rows = [
        {
            "category": row["category"],
            "arm": row["arm"],
            "told": [_kid(row), *("" if pd.isna(row[m]) else f"{row[m]:.2f}" for m in _SHARES)],
        }
        for row in whole.to_dict("records")
    ]
    first = table.iloc[0]
    notes = [
        f"{row['category']} / {row['defect_type']}, {row['arm']}: {row['note']}"
        for row in table[table["note"] != ""].to_dict("records")
    ]
    section = rendered(
        "quality.html.j2",
        real=first["real"],
        extractor=first["extractor"],
        distance=first["distance"],
        untouched=UNTOUCHED,
        rows=rows,
        notes=list(dict.fromkeys(notes)),
        chart=drawing(draw_quality(table)),
    )
    return fill(page, "quality", section)
