"""The verdict as one page of Markdown: answers first, then every arm, then what limits them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import (
    ALL,
    CONTROLS,
    HARMS,
    METRIC_NAMES,
    NO_EVIDENCE,
    PAYS,
)
from defectsynth_pipeline.verdict.notes import notes, percent

_SHOWN = {
    "classification": ("macro_f1", "accuracy"),
    "localization": ("pixel_ap", "pro", "pixel_f1", "pixel_auroc", "image_auroc"),
}
_OUTCOMES = (PAYS, NO_EVIDENCE, HARMS)
_PLACE = ["task", "corpus", "category"]


def verdict_markdown(
    verdict: pd.DataFrame,
    reports: Sequence[pd.DataFrame | None],
    protocol: ProtocolOptions,
    left_out: Sequence[str] = (),
) -> str:
    """Write the verdict for a person: headlines, arms with intervals, notes on what limits it.

    Points `a@n` of a ratio curve are not among the headlines, but among the arms.

    Args:
        verdict: From `make_verdict`.
        reports: The reports it was made from; None for a task that did not run.
        protocol: The settings both were made with.
        left_out: What was not judged and why, a sentence each.

    Returns:
        Markdown with tables.
    """
    given = [report for report in reports if report is not None and len(report)]
    shown = verdict[~verdict["arm"].str.contains("@")]
    shown = verdict if shown.empty else shown
    parts = [
        "# Does the data pay?",
        _opening(protocol),
        _counts(shown),
        *_verdict_tables(shown),
        "## All arms, all defect types together",
        *(table for report in given for table in _arm_tables(report)),
        "## What this rests on, and its limits",
        "\n".join(f"- {note}" for note in [*left_out, *notes(verdict, given, protocol)]),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(protocol: ProtocolOptions) -> str:
    return (
        "Detectors were trained with each arm's images and tested on real images only. An arm "
        f"**pays** or **harms** where the whole {percent(protocol)} interval of the difference "
        f"lies on one side of 0 and the difference is at least {protocol.smallest_difference:g}. "
        "Everything else is **no evidence**, which does not prove that there is no difference. "
        "Judged by pixel AP in localization and by the F1 of the type in classification (macro "
        "F1 for all types together); this was fixed in the code before any result was seen."
    )


def _counts(verdict: pd.DataFrame) -> str:
    """How often each arm pays, over the single defect types."""
    if verdict.empty:
        return "**There is nothing to judge:** no arm beside the controls was tested."
    single = verdict[verdict["defect_type"] != ALL]
    controls = _controls(verdict)
    lines = []
    for (task, arm), rows in single.groupby(["task", "arm"], sort=False):
        cells = []
        for control in controls:
            found = rows.loc[rows["against"] == control, "verdict"].value_counts()
            cells.append(", ".join(f"{name}: {found[name]}" for name in _OUTCOMES if name in found))
        lines.append([str(task), f"**{arm}**", *cells])
    header = ["task", "arm", *(f"against {name}" for name in controls)]
    return f"Number of defect types by verdict:\n\n{_table(header, lines)}"


def _controls(verdict: pd.DataFrame) -> list[str]:
    return [name for name in CONTROLS if (verdict["against"] == name).any()]


def _verdict_tables(verdict: pd.DataFrame) -> Iterator[str]:
    """Per task the verdicts in words against one control, then numbers against every one."""
    for task, rows in verdict.groupby("task", sort=False):
        controls = _controls(rows)
        header = ["category", "defect type", "arm", *(f"against {name}" for name in controls)]
        lines = []
        place = ["corpus", "category", "defect_type", "arm"]
        for key, part in rows.groupby(place, sort=False):
            cells = {row["against"]: _verdict_cell(row) for row in part.to_dict("records")}
            lines.append([*key[1:], *(cells.get(name, "") for name in controls)])
        yield f"## {str(task).capitalize()}"
        said = rows.loc[rows["against"] == controls[0], "sentence"]
        yield "\n".join(f"- {sentence}" for sentence in said)
        yield f"Difference in {_judged_by(rows)} with its interval:"
        yield _table(header, lines)


def _judged_by(rows: pd.DataFrame) -> str:
    return " and ".join(METRIC_NAMES[name] for name in rows["metric"].unique())


def _verdict_cell(row: dict[Any, Any]) -> str:
    name = row["verdict"]
    shown = name if name == NO_EVIDENCE else f"**{name}**"
    if math.isnan(row["difference"]):
        return shown
    return f"{shown} {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def _arm_tables(report: pd.DataFrame) -> Iterator[str]:
    """Per category a table of all arms over all types, best guess and interval."""
    own = report[(report["against"] == "") & (report["defect_type"] == ALL)]
    for (task, _, category), rows in own.groupby(_PLACE, sort=False):
        metrics = [name for name in _SHOWN[str(task)] if (rows["metric"] == name).any()]
        lines = []
        for (arm, selected), part in rows.groupby(["arm", "selected"], sort=False):
            values = {
                row.metric: _value_cell(row.value, row.low, row.high) for row in part.itertuples()
            }
            label = f"{arm} (inflated: best test checkpoint)" if selected == LEGACY else str(arm)
            lines.append([label, *(values.get(name, "") for name in metrics)])
        yield f"### {category}, {task}"
        yield _table(["arm", *(METRIC_NAMES[name] for name in metrics)], lines)


def _value_cell(value: float, low: float, high: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
