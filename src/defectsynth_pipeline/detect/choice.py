"""Which detector is put to use: that of the arm that pays, or the one that needs no such images."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.verdict.choice import chosen_detector
from defectsynth_pipeline.verdict.comparison import ALL, BASE, HARMS, NORMALS_ONLY, PAYS

TASK = "localization"


class Chosen(NamedTuple):
    """A trained detector.

    Attributes:
        network: As `DetectorSet` names it.
        arm: What it was trained with.
        why: One sentence.
    """

    category: str
    network: str
    arm: str
    why: str


def choose_category(verdict: pd.DataFrame, wanted: str | None) -> str:
    """Return the category whose detector is meant.

    Raises:
        InputError: There are several and none is named, or the named one was not judged.
    """
    known = sorted(verdict.loc[verdict["task"] == TASK, "category"].unique())
    if wanted is None and len(known) == 1:
        return str(known[0])
    if wanted in known:
        return str(wanted)
    raise InputError(
        "it is not said of which category the photographs are"
        if wanted is None
        else "no detector of this category was judged",
        value=wanted,
        remedy=f"name one with --category: {', '.join(known) or 'none was judged'}",
    )


def choose_detector(verdict: pd.DataFrame, report: pd.DataFrame, category: str) -> Chosen:
    """Return the detector that the verdict on a category speaks for.

    An arm that pays against every other is taken; else the arm against which it harms, if there is
    one; else `base`, which needs no synthetic images. The network is the one that was better on
    held-out base images.

    Args:
        verdict: The table `verdict`.
        report: The table `localization_report` of the same run.
        category: One that was judged.
    """
    rows = verdict[(verdict["task"] == TASK) & (verdict["category"] == category)]
    whole = rows[rows["defect_type"] == ALL]
    rows = rows if whole.empty else whole
    own = report[(report["task"] == TASK) & (report["category"] == category)]
    network = chosen_detector(own)
    for arm, against in rows.groupby("arm", sort=False):
        if (against["verdict"] == PAYS).all():
            rivals = ", ".join(against["against"].unique())
            return Chosen(category, network, str(arm), f"the verdict: {arm} pays against {rivals}")
    harmed = rows[rows["verdict"] == HARMS].sort_values("against_value", ascending=False)
    for row in harmed.to_dict("records"):
        better = str(row["against"])
        of_better = own.loc[own["arm"] == better, "detector"].iloc[0]
        why = f"the verdict: {row['arm']} harms compared with {better}"
        return Chosen(category, of_better if better == NORMALS_ONLY else network, better, why)
    return Chosen(
        category, network, BASE, "the verdict finds none better than what real images alone give"
    )
