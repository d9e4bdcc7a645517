"""How many synthetic images are worth making: the primary metric over their number."""

from __future__ import annotations

import pandas as pd

from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.schemas import own_columns
from defectsynth_pipeline.verdict.choice import of_chosen
from defectsynth_pipeline.verdict.comparison import CATEGORY, is_primary

_CURVE = [*CATEGORY, "defect_type", "metric", "arm"]
COLUMNS = own_columns("ratio_curve")


def ratio_curve(report: pd.DataFrame) -> pd.DataFrame:
    """The primary metric over the number n of distinct images in the arms `a@n`.

    Of each category's chosen detector (`choice.chosen_detector`).

    `worth_making` is the smallest n of a curve whose value is at least the highest value of the
    curve less half the width of that highest point's interval. More images than that gain less
    than the test set can tell. It is 0 where no image at all does as well. It is the same in all
    rows of a curve, and -1 where the metric is not defined. Set sizes and steps are equal along
    the curve: fewer images are repeated more often.

    Args:
        report: From `report.classification_report` or `report.localization_report`; tables of
            both tasks may be joined, under one index.

    Returns:
        `COLUMNS`, a row per point, n ascending; empty without arms `a@n`.
    """
    report = of_chosen(report)
    own = report[is_primary(report) & (report["against"] == "") & (report["selected"] != LEGACY)]
    parts = own["arm"].str.extract(r"^(?P<name>[^+]+)@(?P<n>\d+)$")
    chosen = own.assign(arm=parts["name"], n=parts["n"]).dropna(subset=["n"])
    chosen = chosen.assign(n=chosen["n"].astype(int)).sort_values([*_CURVE, "n"])
    # The table is in the order of its groups.
    worth = [
        number
        for _, points in chosen.groupby(_CURVE, sort=True)
        for number in [_worth_making(points)] * len(points)
    ]
    return chosen.assign(worth_making=worth)[COLUMNS].reset_index(drop=True)


def _worth_making(points: pd.DataFrame) -> int:
    """The n of `ratio_curve` for one curve, n ascending."""
    defined = points.dropna(subset=["value"])
    if defined.empty:
        return -1
    best = defined.loc[defined["value"].idxmax()]
    enough = defined["value"] >= best["value"] - (best["high"] - best["low"]) / 2
    return int(defined.loc[enough, "n"].iloc[0])
