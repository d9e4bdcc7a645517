"""What a review says beyond its own images: what was rejected most, and what a next run leaves out.

A real image or an engine is refused for a type when a person rejected clearly more than half of
what was made with it: the lower end of the 95 % interval (Wilson) of the share is above one half,
as it is when 4 of 4, 7 of 8 or 11 of 15 were rejected.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from scipy.stats import binomtest

from defectsynth_pipeline.review.decisions import ACCEPTED, REJECTED, Reviewed
from defectsynth_pipeline.schemas import empty_table

logger = logging.getLogger(__name__)

ALL, ENGINE, REFERENCE, REASON = "all", "engine", "reference", "reason"
TYPE = ["category", "defect_type"]
_HALF = 0.5
_PARENTS = 2  # real masks that a mask lies between


def summarise_review(reviewed: Reviewed | None) -> pd.DataFrame:
    """Return the table `review_summary`; without rows where nothing was reviewed.

    A row per defect type, and in it per engine, reference and reason: how many images were made,
    decided, accepted, rejected, given another type and taken in though the certificate had
    rejected them; the share of the decided ones that was rejected, and its 95 % interval. The type
    is the one that an image was made as.
    """
    if reviewed is None:
        return empty_table("review_summary")
    every = pd.concat([reviewed.images.manifest, reviewed.images.rejected], ignore_index=True)
    decided = [reviewed.review.images.get(str(name)) for name in every["image_id"]]
    verdicts = pd.Series([one.verdict if one else "" for one in decided], index=every.index)
    told = every[[*TYPE, ENGINE, REFERENCE]].assign(
        images=1,
        decided=verdicts != "",
        accepted=verdicts == ACCEPTED,
        rejected=verdicts == REJECTED,
        retyped=[bool(one and one.type) for one in decided],
        taken_in=(verdicts == ACCEPTED) & (every["verdict"] == REJECTED),
        reason=[one.reason if one and one.verdict == REJECTED else "" for one in decided],
        all="",
    )
    rows = [row for what in (ALL, ENGINE, REFERENCE, REASON) for row in _rows(told, what)]
    return pd.DataFrame(rows, columns=list(empty_table("review_summary")))


def _rows(told: pd.DataFrame, what: str) -> Iterator[dict[str, Any]]:
    shown = told[told["rejected"]] if what == REASON else told
    for (category, kind, name), group in shown.groupby([*TYPE, what], sort=True):
        counts = {column: int(group[column].sum()) for column in _COUNTS}
        row = {"category": category, "defect_type": kind, "what": what, "name": name, **counts}
        if counts["decided"] and what != REASON:
            test = binomtest(counts["rejected"], counts["decided"])
            low, high = test.proportion_ci(method="wilson")
            row |= {"rate": test.statistic, "low": low, "high": high}
        yield row


_COUNTS = ("images", "decided", "accepted", "rejected", "retyped", "taken_in")


def review_notes(summary: pd.DataFrame) -> list[str]:
    """What a reader of a verdict must know of the review, a sentence or two."""
    whole = summary[summary["what"] == ALL]
    if whole.empty:
        return []
    counts = {name: int(whole[name].sum()) for name in _COUNTS}
    return [
        "A person looked through the synthetic images: {decided} of {images} were decided, "
        "{rejected} of them rejected and left out of every arm, {retyped} given another type, "
        "{taken_in} taken in though the certificate had rejected them.".format(**counts)
    ]


def without_refused_parents(base: pd.DataFrame, reviewed: Reviewed | None) -> pd.DataFrame:
    """Return the base samples that masks may be made of: not those that a person refused.

    A type that would be left with fewer than two keeps all, with a warning.

    Args:
        base: Rows of `samples`, of split "base".
        reviewed: None: nothing was reviewed.
    """
    for (category, kind), names in _refused(reviewed, REFERENCE):
        mine = (base["category"] == category) & (base["defect_type"] == kind)
        out = mine & base["sample_id"].isin(names)
        label = f"{category}/{kind}"
        if (mine & ~out).sum() < _PARENTS:
            logger.warning("%s: nearly all was rejected whatever it was made from: kept", label)
        elif out.any():
            logger.info("%s: a person refused what is made from %s", label, ", ".join(names))
            base = base[~out]
    return base


def without_refused_engines(choice: pd.DataFrame, reviewed: Reviewed | None) -> pd.DataFrame:
    """Return the table `engine_choice` with the shares of refused engines given to the others.

    A type whose engines were all refused keeps them, with a warning.
    """
    choice = choice.copy()
    for (category, kind), names in _refused(reviewed, ENGINE):
        mine = (choice["category"] == category) & (choice["defect_type"] == kind)
        left = mine & ~choice["engine"].isin(names)
        if not left.any():
            logger.warning("%s/%s: all its engines were refused: kept", category, kind)
            continue
        logger.info("%s/%s: a person refused %s", category, kind, ", ".join(names))
        shares = choice.loc[left, "share"]
        shares = shares if shares.sum() > 0 else shares + 1.0
        choice.loc[mine & ~left, "share"] = 0.0
        choice.loc[left, "share"] = shares / shares.sum()
    return choice


def _refused(reviewed: Reviewed | None, what: str) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """Names by type of which clearly more than half was rejected.

    What a refused engine made says nothing of the real images it made it from.
    """
    if reviewed is not None and what == REFERENCE:
        reviewed = _without(reviewed, dict(_refused(reviewed, ENGINE)))
    table = summarise_review(reviewed)
    table = table[(table["what"] == what) & (table["low"] > _HALF)]
    for (category, kind), rows in table.groupby(TYPE, sort=True):
        yield (str(category), str(kind)), list(map(str, rows["name"]))


def _without(reviewed: Reviewed, engines: Mapping[tuple[str, str], list[str]]) -> Reviewed:
    """A review without the images of some types' engines."""

    def others(table: pd.DataFrame) -> pd.DataFrame:
        keys = zip(table["category"], table["defect_type"], table["engine"], strict=True)
        return table[[engine not in engines.get((c, k), ()) for c, k, engine in keys]]

    images = reviewed.images
    kept = replace(images, manifest=others(images.manifest), apart=others(images.rejected))
    return reviewed._replace(images=kept)
