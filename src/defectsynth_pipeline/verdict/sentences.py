"""A row of the verdict in one sentence: what was found, by how much, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from defectsynth_pipeline.verdict.comparison import (
    ALL,
    CANNOT_JUDGE,
    HARMS,
    METRIC_NAMES,
    NO_EVIDENCE,
    PAYS,
)


def sentence(row: dict[str, Any], doubts: Sequence[str], confidence: float) -> str:
    """Say one verdict.

    Args:
        row: Of the table `verdict`, but for its sentence.
        doubts: What speaks against it or must be known beside it.
        confidence: Of the interval.
    """
    kind = "all defect types" if row["defect_type"] == ALL else row["defect_type"]
    opening = {
        PAYS: f"{row['arm']} pays against {row['against']}",
        HARMS: f"{row['arm']} harms compared with {row['against']}",
        NO_EVIDENCE: f"no evidence that {row['arm']} differs from {row['against']}",
        CANNOT_JUDGE: f"cannot judge {row['arm']} against {row['against']}",
    }[row["verdict"]]
    parts = [f"{row['category']} / {kind}, {row['task']}: {opening}"]
    if not math.isnan(row["difference"]):
        parts.append(_finding(row, confidence))
    if not math.isnan(row["image_auroc"]):
        beside = row["against_image_auroc"]
        parts.append(f"image AUROC {row['image_auroc']:.3f} instead of {beside:.3f}")
    if not math.isnan(row["detectable"]):
        parts.append(f"the smallest difference this test set could show is {row['detectable']:.3f}")
    parts.append(_evidence(row))
    parts.extend(doubts)
    if row["seeds"] == 1:
        parts.append("with one seed the interval leaves out the spread between trainings")
    return "; ".join(parts) + "."


def counted(count: int, thing: str) -> str:
    """A number with what it counts, as in "1 seed" and "2 seeds"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _finding(row: dict[str, Any], confidence: float) -> str:
    """Both values, and their difference with its interval."""
    gap = f"{row['difference']:+.3f}"
    return (
        f"{METRIC_NAMES[row['metric']]} {row['value']:.3f} instead of {row['against_value']:.3f}, "
        f"{gap} ({100 * confidence:g} % interval {row['low']:+.3f} to {row['high']:+.3f})"
    )


def _evidence(row: dict[str, Any]) -> str:
    """What the finding rests on."""
    made = counted(row["n_synthetic"], "different synthetic image")
    made = f"{made} in a training set of {row['set_size']}"
    tested = counted(row["n_test"], "test image")
    if row["n_groups"] < row["n_test"]:
        tested += f" of {counted(row['n_groups'], 'part')}"
    if row["task"] == "localization":
        tested += f" with the defect and {row['n_good']} without"
    elif row["defect_type"] != ALL:
        tested += " of this type"
    return f"{made}, {counted(row['seeds'], 'seed')}, {tested}"
