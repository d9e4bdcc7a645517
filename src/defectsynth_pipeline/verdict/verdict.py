"""Does the data pay, and how much of it is worth making? By rules that were fixed beforehand."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.schemas import own_columns
from defectsynth_pipeline.verdict.comparison import (
    ALL,
    CATEGORY,
    CONTROLS,
    HARMS,
    METRIC_NAMES,
    NO_EVIDENCE,
    PAYS,
    fewest_groups,
    is_primary,
)

COLUMNS = own_columns("verdict")


def make_verdict(report: pd.DataFrame, protocol: ProtocolOptions) -> pd.DataFrame:
    """Judge every arm that is not a control against every control.

    An arm pays if the interval of the paired difference of the primary metric
    (`comparison.primary_metric`) lies above 0, and harms if it lies below. Anything else is no
    evidence, and so are a difference below `protocol.smallest_difference`, a metric that is not
    defined, and a test set with fewer independent images of the type than `fewest_groups`. Types
    of a category come first, then all of them together. Results chosen on the test set (`legacy`)
    are never judged.

    Args:
        report: From `report.classification_report` or `report.localization_report`; tables of
            both tasks may be joined, under one index.
        protocol: Confidence and ceiling.

    Returns:
        `COLUMNS`; low and high are those of the difference.
    """
    values = _values(report)
    rows = [_judge(row, values, protocol) for row in _candidates(report).to_dict("records")]
    return pd.DataFrame(rows, columns=COLUMNS)


def _candidates(report: pd.DataFrame) -> pd.DataFrame:
    """The rows a verdict is given on, types before "all", "all" only where there are several."""
    chosen = report[
        is_primary(report)
        & (report["against"] != "")
        & ~report["arm"].isin(CONTROLS)
        & (report["selected"] != LEGACY)
    ]
    several = report.groupby(CATEGORY)["defect_type"].transform("nunique") > 2
    chosen = chosen[(chosen["defect_type"] != ALL) | several.loc[chosen.index]]
    return chosen.assign(_all=chosen["defect_type"] == ALL).sort_values(
        [*CATEGORY, "_all", "defect_type"], kind="stable"
    )


def _values(report: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """Mean of every metric by where it was measured."""
    own = report[(report["against"] == "") & (report["selected"] != LEGACY)]
    return {_key(row, row["arm"]): float(row["value"]) for row in own.to_dict("records")}


def _key(row: dict[Any, Any], arm: str) -> tuple[Any, ...]:
    place = ("task", "corpus", "category", "defect_type", "metric")
    return (*(row[name] for name in place), arm)


def _judge(
    row: dict[Any, Any], values: dict[tuple[Any, ...], float], protocol: ProtocolOptions
) -> dict[str, Any]:
    low, high = row["difference_low"], row["difference_high"]
    verdict, doubt = _rule(row, protocol)
    result = {
        **{name: row[name] for name in COLUMNS if name in row},
        "verdict": verdict,
        "low": low,
        "high": high,
        "against_value": values.get(_key(row, row["against"]), math.nan),
    }
    result["sentence"] = _sentence(result, doubt, row["note"], protocol)
    return result


def _rule(row: dict[str, Any], protocol: ProtocolOptions) -> tuple[str, str]:
    """The verdict, and why none can be given."""
    low, high, groups = row["difference_low"], row["difference_high"], row["n_groups"]
    if math.isnan(low) or math.isnan(high):
        return NO_EVIDENCE, "the metric is not defined on this test set"
    if groups < fewest_groups(protocol.confidence):
        return NO_EVIDENCE, f"{_number(groups, 'independent test image')} cannot show anything"
    if low <= 0 <= high:
        return NO_EVIDENCE, ""
    if abs(row["difference"]) < protocol.smallest_difference:
        limit = f"{protocol.smallest_difference:g}"
        return NO_EVIDENCE, f"the interval leaves out 0, but less than {limit} does not matter"
    return (PAYS, "") if low > 0 else (HARMS, "")


def _sentence(row: dict[str, Any], doubt: str, note: str, protocol: ProtocolOptions) -> str:
    kind = "all defect types" if row["defect_type"] == ALL else row["defect_type"]
    opening = {
        PAYS: f"{row['arm']} pays against {row['against']}",
        HARMS: f"{row['arm']} harms compared with {row['against']}",
        NO_EVIDENCE: f"no evidence that {row['arm']} differs from {row['against']}",
    }[row["verdict"]]
    parts = [f"{row['category']} / {kind}, {row['task']}: {opening}"]
    if not math.isnan(row["difference"]):
        parts.append(_finding(row, protocol.confidence))
    parts.append(_evidence(row))
    parts.extend(text for text in (doubt, note) if text)
    if row["seeds"] == 1:
        parts.append("with one seed the interval leaves out the spread between trainings")
    return "; ".join(parts) + "."


def _finding(row: dict[str, Any], confidence: float) -> str:
    """Both values, and their difference with its interval."""
    gap = f"{row['difference']:+.3f}"
    return (
        f"{METRIC_NAMES[row['metric']]} {row['value']:.3f} instead of {row['against_value']:.3f}, "
        f"{gap} ({100 * confidence:g} % interval {row['low']:+.3f} to {row['high']:+.3f})"
    )


def _evidence(row: dict[str, Any]) -> str:
    """What the finding rests on."""
    made = _number(row["n_synthetic"], "different synthetic image")
    made = f"{made} in a training set of {row['set_size']}"
    tested = _number(row["n_test"], "test image")
    if row["task"] == "localization":
        tested += f" with the defect and {row['n_good']} without"
    elif row["defect_type"] != ALL:
        tested += " of this type"
    return f"{made}, {_number(row['seeds'], 'seed')}, {tested}"


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


_CURVE = [*CATEGORY, "defect_type", "metric", "arm"]
RATIO_COLUMNS = own_columns("ratio_curve")


def ratio_curve(report: pd.DataFrame) -> pd.DataFrame:
    """The primary metric over the number n of distinct images in the arms `a@n`.

    `worth_making` is the smallest n of a curve whose value is at least the highest value of the
    curve less half the width of that highest point's interval. More images than that gain less
    than the test set can tell. It is 0 where no image at all does as well. It is the same in all
    rows of a curve, and -1 where the metric is not defined. Set sizes and steps are equal along
    the curve: fewer images are repeated more often.

    Args:
        report: From `report.classification_report` or `report.localization_report`.

    Returns:
        `RATIO_COLUMNS`, a row per point, n ascending; empty without arms `a@n`.
    """
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
    return chosen.assign(worth_making=worth)[RATIO_COLUMNS].reset_index(drop=True)


def _worth_making(points: pd.DataFrame) -> int:
    """The n of `ratio_curve` for one curve, n ascending."""
    defined = points.dropna(subset=["value"])
    if defined.empty:
        return -1
    best = defined.loc[defined["value"].idxmax()]
    enough = defined["value"] >= best["value"] - (best["high"] - best["low"]) / 2
    return int(defined.loc[enough, "n"].iloc[0])
