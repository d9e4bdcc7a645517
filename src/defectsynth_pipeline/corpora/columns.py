"""The columns of `samples`, and one row of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from defectsynth_pipeline.corpora.files import SourceImage
from defectsynth_pipeline.schemas import own_columns

GOOD = "good"
ALL_TYPES = "all"  # in tables: all defect types of a category together
UNUSED = "unused"  # the split of what `ingest.shots` or `ingest.max_base` leaves out
PIXELS = "pixels"
THUMBNAIL = "thumbnail"


# `split` is empty until `split.assign_split` decides it.
COLUMNS = own_columns("samples")
# Beside COLUMNS a row has `pixels` (a hash of the decoded source image) and `thumbnail`, which only
# serve to find duplicates.
Row = dict[str, Any]


def sample_row(
    source: SourceImage,
    *,
    sample_id: str,
    root: Path,
    mask: Path | None = None,
    window: tuple[int, int, int, int] | None = None,
    derivation: str = "",
    mask_of: Path | None = None,
    group: str = "",
    split: str = "",
) -> Row:
    """One row of `samples`.

    Args:
        source: The image file.
        sample_id: "<corpus>/<category>/<defect type>/<stem>".
        root: Corpus root.
        mask: Mask file of a defective sample.
        window: x, y, width, height in pixels; the whole image if None.
        derivation: "" or "crack_removed".
        mask_of: Mask file whose defect is removed.
        group: Samples of one group stay on one side of the split; the sample alone if empty.
        split: Already decided side, or "".

    Returns:
        The row, with the sha256 of the file, or of file, window and derivation.
    """
    corpus, category, defect_type, _ = sample_id.split("/", 3)
    x, y, width, height = window or (0, 0, source.width, source.height)
    sha256 = source.sha256
    if window or derivation:
        sha256 = part_sha256(sha256, (x, y, width, height), derivation)
    return dict(
        sample_id=sample_id,
        corpus=corpus,
        category=category,
        defect_type=defect_type,
        root=root.resolve().as_posix(),
        image=source.path.relative_to(root).as_posix(),
        mask=mask.relative_to(root).as_posix() if mask else "",
        x=x,
        y=y,
        width=width,
        height=height,
        derivation=derivation,
        mask_of=mask_of.relative_to(root).as_posix() if mask_of else "",
        group=group or sample_id,
        sha256=sha256,
        split=split,
        pixels=source.pixels,
        thumbnail=source.thumbnail,
    )


def part_sha256(sha256: str, window: tuple[int, int, int, int], derivation: str) -> str:
    """Hash of a window of a file, or of what is derived from it, from the hash of the file."""
    key = "{}|{},{},{},{}|{}".format(sha256, *window, derivation)
    return hashlib.sha256(key.encode()).hexdigest()


def to_table(rows: list[Row]) -> pd.DataFrame:
    """Rows as a table with all their columns, also when there are none."""
    return pd.DataFrame(rows, columns=[*COLUMNS, PIXELS, THUMBNAIL])
