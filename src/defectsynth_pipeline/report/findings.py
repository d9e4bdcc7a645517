"""What is suspicious about a set of synthetic images, in plain words, the gravest first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd

from defectsynth_pipeline.certificate.nulls import OTHER, REAL, SPOILT
from defectsynth_pipeline.corpora.columns import ALL_TYPES, GOOD
from defectsynth_pipeline.corpora.licences import UNKNOWN
from defectsynth_pipeline.inspection.usefulness import MOVED
from defectsynth_pipeline.inspection.usefulness import REAL as REAL_ALONE

FIRST_ATTEMPTS = 0.9  # share that the certificate should accept at once
NULLS, REALS = 0.05, 0.9  # shares that should pass the certificate: at most, at least
CEILING = 0.95  # of the AP with real images alone: nothing is left to be gained above it
FEW = 5  # photographs of a defect, below which their spread is not known
_RESTRICTED = re.compile(r"\bNC\b|-NC-|non-?commercial|research|education", re.IGNORECASE)
_TYPE = ["category", "defect_type"]


class Tables(NamedTuple):
    """What a run says of the images it made, by the names of the catalog."""

    samples: pd.DataFrame
    synthesis_summary: pd.DataFrame
    engine_choice: pd.DataFrame
    engine_trials: pd.DataFrame
    certificate_test: pd.DataFrame


def suspicions(tables: Tables) -> list[str]:
    """Sentences on what a person should look at before using the images; empty if nothing is.

    Each begins with what it is about, such as "tile / scratch".
    """
    asked: tuple[Callable[[Tables], Iterator[str]], ...] = (
        _nothing_left,
        _passed_nulls,
        _refused_reals,
        _lucky_attempts,
        _engines,
        _few_photographs,
        _ceiling,
        _licences,
        _outside,
    )
    return [sentence for ask in asked for sentence in ask(tables)]


def is_restricted(licence: str) -> bool:
    """Whether a licence, or one of several joined by ";", forbids commercial use."""
    return bool(_RESTRICTED.search(licence))


def _named(row: pd.Series) -> str:
    kind = row["defect_type"]
    return f"{row['category']} / {'all types' if kind == ALL_TYPES else kind}"


def _rows(table: pd.DataFrame) -> Iterator[pd.Series]:
    return (row for _, row in table.iterrows())


def _nothing_left(tables: Tables) -> Iterator[str]:
    for row in _rows(tables.synthesis_summary):
        planned = row["images"] + row["rejected"]
        if row["images"] == 0:
            yield f"{_named(row)}: all {planned} images were rejected; there is none to use."
        elif row["rejected"]:
            share = row["rejected"] / planned
            yield f"{_named(row)}: {row['rejected']} of {planned} images ({share:.0%}) rejected."


def _passed_nulls(tables: Tables) -> Iterator[str]:
    """Over all types of a category, so that a share is of many images."""
    test = tables.certificate_test
    nulls = test[~test["kind"].isin([REAL, *SPOILT]) & (test["defect_type"] == ALL_TYPES)]
    for row in _rows(nulls[nulls["passed"] > NULLS]):
        kind = "another type's defects" if row["kind"] == OTHER else f"{row['kind']} images"
        yield (
            f"{_named(row)}: the certificate accepts {row['passed']:.0%} of {kind}, which are no "
            f"defects of the type (at most {NULLS:.0%} should pass)."
        )


def _refused_reals(tables: Tables) -> Iterator[str]:
    test = tables.certificate_test
    reals = test[(test["kind"] == REAL) & (test["defect_type"] != ALL_TYPES)]
    for row in _rows(reals[reals["passed"] < REALS]):
        passed = round(row["passed"] * row["windows"])
        yield (
            f"{_named(row)}: the certificate accepts {passed} of the {row['windows']} real "
            "defects it had not seen; it does not know this type well."
        )


def _lucky_attempts(tables: Tables) -> Iterator[str]:
    summary = tables.synthesis_summary
    for row in _rows(summary[summary["first_attempts"] < FIRST_ATTEMPTS]):
        yield (
            f"{_named(row)}: only {row['first_attempts']:.0%} were accepted at the first attempt; "
            "the others are the best of several, so look at them with care."
        )


def _engines(tables: Tables) -> Iterator[str]:
    """Whether the trials can be believed, and whether any engine in use was shown to help."""
    trials, choice = tables.engine_trials, tables.engine_choice
    moved = trials[(trials["candidate"] == MOVED) & (trials["gain"] > trials["error"])]
    for row in _rows(moved):
        yield (
            f"{_named(row)}: defects with the mask beside them helped as well; the trials of "
            "engines say nothing here."
        )
    tried = choice[choice["share"] > 0].dropna(subset="gain")
    for (category, kind), rows in tried.groupby(_TYPE, sort=False):
        if not (rows["gain"] > rows["error"].fillna(float("inf"))).any():
            best = rows.loc[rows["gain"].idxmax()]
            yield (
                f"{category} / {kind}: no engine in use was shown to help a detector on held-out "
                f"real defects (the best, {best['engine']}, gains {best['gain']:+.3f} AP, "
                f"standard error {best['error']:.3f})."
            )


def _few_photographs(tables: Tables) -> Iterator[str]:
    base = tables.samples[tables.samples["split"] == "base"]
    base = base[base["defect_type"] != GOOD]
    parts = base.groupby(_TYPE, sort=True)["group"].nunique()
    if few := [f"{' / '.join(map(str, key))} ({n})" for key, n in parts.items() if n < FEW]:
        yield (
            f"{', '.join(few)}: made from photographs of so few parts; other defects of the type "
            "may look different."
        )


def _ceiling(tables: Tables) -> Iterator[str]:
    trials = tables.engine_trials
    alone = trials[(trials["candidate"] == REAL_ALONE) & (trials["ap"] > CEILING)]
    if high := [f"{_named(row)} ({row['ap']:.2f})" for row in _rows(alone)]:
        yield (
            f"{', '.join(high)}: the real images alone reach an AP above {CEILING:g}; more images "
            "can hardly show a gain."
        )


def _licences(tables: Tables) -> Iterator[str]:
    licences = tables.samples.groupby("category", sort=True)["licence"].unique()
    for category, found in licences.items():
        for licence in map(str, found):
            if licence in ("", UNKNOWN):
                yield (
                    f"{category}: no file says under which licence the photographs are; set "
                    "ingest.licence before the images leave the house."
                )
            elif is_restricted(licence):
                yield (
                    f"{category}: the photographs are under {licence}; the images made of them "
                    "are not for commercial use either."
                )


def _outside(tables: Tables) -> Iterator[str]:
    for row in _rows(tables.synthesis_summary):
        if row["pixels_outside_collar"]:
            yield (
                f"{_named(row)}: {row['pixels_outside_collar']} pixels outside the masks were "
                "changed, which must not happen; please report it."
            )
