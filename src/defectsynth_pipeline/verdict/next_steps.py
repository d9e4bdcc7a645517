"""What would settle an open question: of which type to photograph more, and how many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import (
    ALL,
    CANNOT_JUDGE,
    METRIC_NAMES,
    NO_EVIDENCE,
    controls_in,
    fewest_groups,
)
from defectsynth_pipeline.verdict.sentences import counted

HOPELESS = 1000  # more independent test defects than anyone will photograph for one answer


class Question(NamedTuple):
    """One that a test set left open.

    Attributes:
        row: Of the table `verdict`.
        target: The difference that has to be seen.
        more: Independent test defects that would, beside those there are.
    """

    row: dict[str, Any]
    target: float
    more: int


def open_questions(verdict: pd.DataFrame, protocol: ProtocolOptions) -> list[Question]:
    """Return the questions on single types that more test defects would settle, the easiest first.

    The standard error, and with it the smallest difference that is shown in 80 % of all cases,
    shrinks with the root of the number of independent test defects. What has to be shown is the
    difference that was found; one that is too small to matter need only be told from one that does.

    Args:
        verdict: From `make_verdict`; against the first control, that is `base`.
        protocol: Its limits.
    """
    found = []
    controls = controls_in(verdict)
    asked = verdict[verdict["against"].isin(controls[:1]) & (verdict["defect_type"] != ALL)]
    for row in asked[asked["verdict"].isin([NO_EVIDENCE, CANNOT_JUDGE])].to_dict("records"):
        if math.isnan(row["difference"]) or math.isnan(row["detectable"]):
            continue
        target = max(abs(row["difference"]), protocol.smallest_difference)
        target = min(target, protocol.largest_detectable)
        needed = max(
            math.ceil(row["n_groups"] * (row["detectable"] / target) ** 2 - 1e-9) if target else 0,
            fewest_groups(protocol.confidence),
        )
        if needed > row["n_groups"]:
            found.append(Question(dict(row), target, needed - int(row["n_groups"])))
    return sorted(found, key=lambda question: question.more)


def next_steps(verdict: pd.DataFrame, protocol: ProtocolOptions) -> Iterator[str]:
    """Say what to photograph next, a sentence each; the easiest to settle comes first."""
    questions = open_questions(verdict, protocol)
    can = [question for question in questions if question.more <= HOPELESS]
    for place, question in enumerate(can):
        row = question.row
        begin = "photograph next: " if place == 0 else ""
        yield (
            f"{begin}{row['category']} / {row['defect_type']}, {row['task']}: about "
            f"{counted(question.more, 'more independent test defect')} (there "
            f"{'is' if row['n_groups'] == 1 else 'are'} {row['n_groups']}) would most likely show "
            f"whether {row['arm']} differs from {row['against']} by {question.target:.3f} in "
            f"{METRIC_NAMES[row['metric']]}."
        )
    if names := [f"{q.row['category']} / {q.row['defect_type']}" for q in questions[len(can) :]]:
        yield (
            f"Not worth photographing for: {', '.join(dict.fromkeys(names))}; the difference is so "
            f"small that more than {HOPELESS} test defects would be needed."
        )
    if questions:
        yield (
            "These numbers take the spread to shrink with the root of the number of test defects; "
            "the part of it that comes from the seeds shrinks with more seeds (`protocol.seeds`)."
        )
