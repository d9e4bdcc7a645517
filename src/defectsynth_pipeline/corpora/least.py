"""What a corpus must hold at least: two base images of a type, and normals of a category."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pandas as pd

from defectsynth_pipeline.corpora.columns import ALL_TYPES, GOOD, UNUSED
from defectsynth_pipeline.corpora.split import MIN_BASE
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions

_log = logging.getLogger(__name__)
_CATEGORY = ["corpus", "category"]
_TYPE = [*_CATEGORY, "defect_type"]


def check_masks(samples: pd.DataFrame) -> None:
    """Refuse a type that no split can serve: interpolation needs two masks.

    Raises:
        InputError: A defect type of a category has a single image, or the name that tables have for
            all types together.
    """
    named = samples[samples["defect_type"] == ALL_TYPES]
    if len(named):
        first = named.iloc[0]
        raise InputError(
            "a defect type has the name that reports give to all types together",
            file=f"{first['root']}/{first['image']}",
            value=f"{first['category']}/{ALL_TYPES}",
            remedy="rename its folders",
        )
    _check_counts(samples, samples.index, "mask", "add at least one more image with its mask")


def check_split(samples: pd.DataFrame, options: IngestOptions) -> None:
    """Refuse what masks or images cannot be made of; warn of what cannot be tested.

    Args:
        samples: Columns of `COLUMNS`, split and freed of duplicates.
        options: What they were read and split with.

    Raises:
        InputError: A defect type has fewer than two base images, or a category no normal or no
            defective image.
    """
    base = samples.index[samples["split"] == "base"]
    more = "add images of other parts with their masks, or raise ingest.base_share"
    _check_counts(samples, base, "base image", more)
    for _, rows in samples.groupby(_CATEGORY):
        _check_normals(rows, set(samples["category"]), options)
    if options.base_share < 1:
        _warn_of_untested(samples[samples["defect_type"] != GOOD])


def _check_counts(samples: pd.DataFrame, counted: pd.Index, what: str, remedy: str) -> None:
    defective = samples[samples["defect_type"] != GOOD]
    for (corpus, category, defect_type), rows in defective.groupby(_TYPE):
        count = int(rows.index.isin(counted).sum())
        if count >= MIN_BASE:
            continue
        first = rows.iloc[0]
        others = set(defective["defect_type"]) - {defect_type}
        raise InputError(
            f"defect type {defect_type} of {category} has {'only one' if count else 'no'} {what}, "
            f"and {MIN_BASE} are needed",
            file=f"{first['root']}/{first['mask']}",
            value=f"{corpus}/{category}/{defect_type}: {count} {what}{'' if count == 1 else 's'}",
            remedy=remedy + _without(str(defect_type), others, "defect_types"),
        )


def _check_normals(rows: pd.DataFrame, categories: set[str], options: IngestOptions) -> None:
    """Raise unless a category has backgrounds, and defects to put on them."""
    corpus, category = rows[_CATEGORY].iloc[0]
    have = {
        "normal": bool((rows["split"] == "normal").any()),
        "defective": bool((rows["defect_type"] != GOOD).any()),
    }
    for kind, present in have.items():
        if present:
            continue
        remedy = f"add {kind} images"
        if kind == "normal" and ((rows["split"] == UNUSED) & (rows["defect_type"] == GOOD)).any():
            option = "max_base" if options.shots is None else "shots"
            limit = getattr(options, option)
            remedy += f", raise ingest.{option} above {limit} or take another ingest.seed"
        raise InputError(
            f"category {category} has no {kind} images",
            file=rows["root"].iloc[0],
            value=f"{corpus}/{category}: 0 {kind} images",
            remedy=remedy + _without(category, categories - {category}, "categories"),
        )


def _without(name: str, others: Iterable[str], option: str) -> str:
    """How to leave one category or type out, where any other is left."""
    rest = ", ".join(sorted(others))
    return f"; or leave {name} out, with ingest.{option}: [{rest}]" if rest else ""


def _warn_of_untested(defective: pd.DataFrame) -> None:
    for name, rows in defective.groupby(_TYPE):
        if not (rows["split"] == "test").any():
            _log.warning(
                "%s: all %d images are needed as base or show parts of the base, so none is left "
                "to test it: add some, or judge with a test set of your own",
                "/".join(map(str, name)),
                len(rows),
            )
