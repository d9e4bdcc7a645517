"""Does the data pay? By rules that were fixed beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.schemas import own_columns
from defectsynth_pipeline.verdict.choice import of_chosen
from defectsynth_pipeline.verdict.comparison import (
    ALL,
    CANNOT_JUDGE,
    CATEGORY,
    CONTROLS,
    HARMS,
    METRIC_NAMES,
    NO_EVIDENCE,
    NORMALS_ONLY,
    PAYS,
    fewest_groups,
    is_primary,
)
from defectsynth_pipeline.verdict.sentences import counted, sentence

COLUMNS = own_columns("verdict")
SUBJECT = [*CATEGORY, "defect_type", "arm"]
Place: TypeAlias = tuple[Any, ...]  # of a number in a report: CATEGORY, defect type
_TYPE = [*CATEGORY, "defect_type"]
_LEAST_FIRST = (HARMS, CANNOT_JUDGE, NO_EVIDENCE, PAYS)
_FROM_BEST = (PAYS, NO_EVIDENCE, CANNOT_JUDGE, HARMS)


def make_verdict(report: pd.DataFrame, protocol: ProtocolOptions) -> pd.DataFrame:
    """Judge every arm that is not a control against every control.

    The verdict is that of each category's chosen detector (`choice.chosen_detector`). An arm pays
    if the interval of the paired difference of the primary metric (`comparison.primary_metric`)
    lies above 0, harms if it lies below, and is no evidence otherwise or if the difference is
    below `protocol.smallest_difference`.

    None of these can be said where the metric is not defined, where the test set has fewer
    independent images of the type than `fewest_groups`, where the smallest difference it could
    show (`comparison.detectable`) exceeds `protocol.largest_detectable`, or where no arm of the
    detector has learned (`_learned`): there it cannot judge.

    Types of a category come first, then all of them together. Results chosen on the test set
    (`legacy`) are never judged.

    Args:
        report: From `report.classification_report` or `report.localization_report`; tables of
            both tasks may be joined, under one index.
        protocol: Confidence and limits.

    Returns:
        `COLUMNS`; low and high are those of the difference; image AUROC of both arms stands
        beside it, nan where there are no scores of images.
    """
    report = of_chosen(report[report["selected"] != LEGACY])
    values, learned = _values(report), _learned(report, protocol.smallest_difference)
    rows = [
        _judge(row, values, learned, protocol) for row in _candidates(report).to_dict("records")
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def overall(verdict: pd.DataFrame) -> pd.DataFrame:
    """One verdict per arm and type over all controls: the least favourable of them.

    So an arm pays only if it pays against every control that stands in the report.

    Args:
        verdict: From `make_verdict`.

    Returns:
        `SUBJECT`, verdict, in the order of the table.
    """
    rank = {name: place for place, name in enumerate(_LEAST_FIRST)}
    least = verdict.assign(rank=verdict["verdict"].map(rank)).groupby(SUBJECT, sort=False)["rank"]
    found = least.min().reset_index()
    return found.assign(verdict=[_LEAST_FIRST[place] for place in found["rank"]])[
        [*SUBJECT, "verdict"]
    ]


class Outcome(NamedTuple):
    """How often an arm has which verdict over the single defect types of a task.

    Attributes:
        counts: Number of types by verdict, of those that occur, the most favourable first.
    """

    task: str
    arm: str
    types: int
    counts: dict[str, int]

    @property
    def leading(self) -> str:
        """The verdict that is the most frequent, the most favourable of equals."""
        return max(self.counts, key=lambda name: self.counts[name])


def outcomes(found: pd.DataFrame) -> Iterator[Outcome]:
    """Count the verdicts of `overall` by task and arm."""
    single = found[found["defect_type"] != ALL]
    for (task, arm), rows in single.groupby(["task", "arm"], sort=False):
        counts = rows["verdict"].value_counts()
        told = {name: int(counts[name]) for name in _FROM_BEST if name in counts}
        yield Outcome(str(task), str(arm), len(rows), told)


def _candidates(report: pd.DataFrame) -> pd.DataFrame:
    """The rows a verdict is given on, types before "all", "all" only where there are several."""
    chosen = report[is_primary(report) & (report["against"] != "") & ~report["arm"].isin(CONTROLS)]
    several = report.groupby(CATEGORY)["defect_type"].transform("nunique") > 2
    chosen = chosen[(chosen["defect_type"] != ALL) | several.loc[chosen.index]]
    return chosen.assign(_all=chosen["defect_type"] == ALL).sort_values(
        [*CATEGORY, "_all", "defect_type"], kind="stable"
    )


def _values(report: pd.DataFrame) -> dict[tuple[Place, str, str], float]:
    """Mean of every metric by where it was measured, arm and metric."""
    own = report[report["against"] == ""].to_dict("records")
    return {(_place(row), row["arm"], row["metric"]): float(row["value"]) for row in own}


def _learned(report: pd.DataFrame, margin: float) -> set[Place]:
    """Where some trained arm does better than the same answers dealt out at random.

    The null is `chance`: for pixel AP the share of defect pixels, for F1 what the same answers
    would score on shuffled images. An arm has learned where the lower end of its interval lies
    above that by more than `margin`. `normals_only` is not trained, so it does not count.
    """
    own = report[is_primary(report) & (report["against"] == "") & (report["arm"] != NORMALS_ONLY)]
    own = own[own["low"] > own["chance"] + margin]
    return {_place(row) for row in own.to_dict("records")}


def _place(row: dict[Any, Any]) -> Place:
    return tuple(row[name] for name in _TYPE)


def _judge(
    row: dict[Any, Any],
    values: dict[tuple[Place, str, str], float],
    learned: set[Place],
    protocol: ProtocolOptions,
) -> dict[str, Any]:
    place = _place(row)
    verdict, doubt = _rule(row, place in learned, protocol)
    result = {
        **{name: row[name] for name in COLUMNS if name in row},
        "verdict": verdict,
        "low": row["difference_low"],
        "high": row["difference_high"],
        "against_value": values.get((place, row["against"], row["metric"]), math.nan),
        "image_auroc": values.get((place, row["arm"], "image_auroc"), math.nan),
        "against_image_auroc": values.get((place, row["against"], "image_auroc"), math.nan),
    }
    doubts = [text for text in (doubt, row["note"]) if text]
    result["sentence"] = sentence(result, doubts, protocol.confidence)
    return result


def _rule(row: dict[Any, Any], learned: bool, protocol: ProtocolOptions) -> tuple[str, str]:
    """The verdict, and why none, or no other, can be given."""
    low, high = row["difference_low"], row["difference_high"]
    if reason := _blind(row, learned, protocol):
        return CANNOT_JUDGE, reason
    if low <= 0 <= high:
        return NO_EVIDENCE, ""
    if abs(row["difference"]) < protocol.smallest_difference:
        limit = f"{protocol.smallest_difference:g}"
        return NO_EVIDENCE, f"the interval leaves out 0, but less than {limit} does not matter"
    return (PAYS, "") if low > 0 else (HARMS, "")


def _blind(row: dict[Any, Any], learned: bool, protocol: ProtocolOptions) -> str:
    """Why nothing can be judged here, "" if it can."""
    groups, shown = row["n_groups"], row["detectable"]
    if math.isnan(row["difference_low"]) or math.isnan(row["difference_high"]):
        return "the metric is not defined on this test set"
    if groups < fewest_groups(protocol.confidence):
        return f"{counted(groups, 'independent test image')} cannot show anything"
    if not learned:
        name = METRIC_NAMES[row["metric"]]
        return f"no arm has learned: no interval of {name} lies above that of guessing"
    if shown > protocol.largest_detectable:
        limit = f"{protocol.largest_detectable:g}"
        return f"the test set is too small or the seeds too far apart to show {limit}"
    return ""
