"""The measures of generation quality, put into the report of the images they are about."""

from __future__ import annotations

import pandas as pd

from defectsynth_pipeline.arms.shown import UNTOUCHED
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures.quality import draw_quality
from defectsynth_pipeline.report.inline import drawing
from defectsynth_pipeline.report.page import fill, images_of, rendered
from defectsynth_pipeline.verdict.comparison import ALL
from defectsynth_pipeline.verdict.seen import DEFECT

_MEASURES = ("kid", "ic_distance", "recall", "mask_iou")


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
            "told": ["" if pd.isna(row[name]) else f"{row[name]:.3g}" for name in _MEASURES],
        }
        for row in whole.to_dict("records")
    ]
    first = table.iloc[0]
    of_types = table[table["note"].fillna("") != ""]
    notes = (
        of_types["category"]
        + " / "
        + of_types["defect_type"]
        + ", "
        + of_types["arm"]
        + ": "
        + of_types["note"]
    )
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
