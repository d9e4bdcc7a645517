"""Shots of one part form one group, so that they stay on one side of the split."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD, PIXELS, THUMBNAIL
from defectsynth_pipeline.corpora.files import natural_key
from defectsynth_pipeline.corpora.likeness import View, alike, details, same_defect
from defectsynth_pipeline.corpora.thumbnails import SIDE, copies
from defectsynth_pipeline.errors import InputError

_log = logging.getLogger(__name__)
_PLACE = ["corpus", "category"]


def group_by_name(samples: pd.DataFrame, pattern: str | None) -> pd.DataFrame:
    r"""Group the samples still to be split by the part that their file name names.

    Args:
        samples: Columns of `table.Row`.
        pattern: Regular expression on the file's stem; its first group is the part's name, within
            a category. `^(\d+)_` joins 17_a.png and 17_b.png. Files it does not match keep their
            group. None does nothing.

    Returns:
        A copy with `group` changed.

    Raises:
        InputError: No regular expression, none with a group, or it matches no file.
    """
    result = samples.copy()
    if pattern is None:
        return result
    expression = _compile(pattern)
    found = 0
    for index in result.index[result["split"] == ""]:
        row = result.loc[index]
        match = expression.search(Path(row["image"]).stem)
        if match and match.group(1):
            result.loc[index, "group"] = f"{row['corpus']}/{row['category']}/{match.group(1)}"
            found += 1
    if not found:
        raise InputError(
            "the pattern that names the part matches no file",
            file="ingest.group_by",
            value=pattern,
            remedy=f"match names such as {Path(result['image'].iloc[-1]).stem}, or leave it out",
        )
    return result


def group_near_duplicates(samples: pd.DataFrame) -> pd.DataFrame:
    """Join the groups of images of one defect that was photographed, or saved, twice.

    Parts on one fixture look alike, so little is taken for a duplicate: the images must agree in
    what sets them apart from the mean picture of their category, and their defects must have one
    shape and one texture (see `likeness`). Images that are equal pixel by pixel are left to
    `split.drop_duplicates`, which refuses them.

    Args:
        samples: Columns of `table.Row`; only defective samples without a `split` are compared,
            within their corpus, category and defect type.

    Returns:
        A copy with `group` changed, the same for all rows of the groups joined.
    """
    result = samples.copy()
    joined: dict[str, str] = {}
    for _, category in result.groupby(_PLACE, sort=False):
        mean = _mean(category)
        free = category[(category["split"] == "") & (category["defect_type"] != GOOD)]
        for _, rows in free.groupby("defect_type", sort=False):
            files = rows.drop_duplicates(["root", "image"])
            for first, second in _duplicates(files, mean):
                _join(joined, files.iloc[first], files.iloc[second])
    result["group"] = [_root(joined, group) for group in result["group"]]
    return result


def warn_of_copies(samples: pd.DataFrame) -> None:
    """Warn of test images of which a copy, saved or scaled anew, is base or normal.

    Args:
        samples: Columns of `table.Row`, `split` decided.
    """
    for _, category in samples.groupby(_PLACE, sort=False):
        files = category.drop_duplicates(["root", "image"])
        test = files[files["split"] == "test"]
        used = files[files["split"] != "test"]
        pairs = copies(_pictures(used), _pictures(test), _mean(category))
        for first, second in pairs:
            one, other = used.iloc[first], test.iloc[second]
            if one[PIXELS] != other[PIXELS]:
                _log.warning(
                    "%s (%s) looks like a copy of the test image %s: remove one of them",
                    one["image"],
                    one["split"],
                    other["image"],
                )


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(
            "not a regular expression", file="ingest.group_by", value=error, remedy="correct it"
        ) from error
    if not expression.groups:
        raise InputError(
            "the pattern has no group that names the part",
            file="ingest.group_by",
            value=pattern,
            remedy="put the part's name in parentheses, for example '^(\\d+)_'",
        )
    return expression


def _duplicates(files: pd.DataFrame, mean: np.ndarray) -> Iterator[tuple[int, int]]:
    """Positions of the pairs of files that show one defect of one part."""
    if len(files) < 2:
        return
    views: dict[int, View] = {}
    for first, second in alike(details(_pictures(files), mean)):
        if files.iloc[first][PIXELS] == files.iloc[second][PIXELS]:
            continue
        for place in (first, second):
            if place not in views:
                row = files.iloc[place]
                views[place] = View(Path(row["root"]), row["image"], row["mask"])
        if same_defect(views[first], views[second]):
            yield first, second


def _join(joined: dict[str, str], one: pd.Series, other: pd.Series) -> None:
    groups = sorted({_root(joined, row["group"]) for row in (one, other)}, key=natural_key)
    if len(groups) == 2:
        joined[groups[1]] = groups[0]
        _log.info(
            "%s and %s show one defect twice and stay on one side of the split",
            one["image"],
            other["image"],
        )


def _root(joined: dict[str, str], group: str) -> str:
    while group in joined:
        group = joined[group]
    return group


def _mean(category: pd.DataFrame) -> np.ndarray:
    return np.asarray(_pictures(category.drop_duplicates(["root", "image"])).mean(axis=0))


def _pictures(rows: pd.DataFrame) -> np.ndarray:
    if rows.empty:
        return np.zeros((0, SIDE, SIDE), dtype=np.float32)
    return np.stack(rows[THUMBNAIL].tolist()).astype(np.float32)
