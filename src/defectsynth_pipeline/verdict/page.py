"""The verdict as one page of Markdown: answers first, then every arm, then what limits them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from defectsynth_pipeline.inspection.results import LEGACY, PAPER
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.choice import of_chosen, reason
from defectsynth_pipeline.verdict.comparison import (
    ALL,
    CATEGORY,
    HARMS,
    METRIC_NAMES,
    PAYS,
    POWER,
    controls_in,
)
from defectsynth_pipeline.verdict.markdown import escape, escape_names, markdown_table
from defectsynth_pipeline.verdict.next_steps import next_steps
from defectsynth_pipeline.verdict.notes import limits, report_notes
from defectsynth_pipeline.verdict.verdict import SUBJECT, outcomes, overall

_SHOWN = {
    "classification": ("macro_f1", "accuracy"),
    "localization": ("mean_pixel_ap", "image_auroc", "pixel_ap", "pro", "pixel_f1", "pixel_auroc"),
}


def verdict_markdown(
    verdict: pd.DataFrame,
    reports: Sequence[pd.DataFrame],
    protocol: ProtocolOptions,
    first_notes: Sequence[str] = (),
) -> str:
    """Write the verdict for a person: answers, numbers, all arms, notes on what limits them.

    Points `a@n` of a ratio curve are not among the answers, but among the arms.

    Args:
        verdict: From `make_verdict`.
        reports: The reports it was made from, one per task; one may be empty.
        protocol: The settings both were made with.
        first_notes: What was not judged and why, and what was split how, a sentence each.

    Returns:
        Markdown with tables.
    """
    verdict, given = escape_names(verdict), [escape_names(r) for r in reports if len(r)]
    shown = verdict[~verdict["arm"].str.contains("@")]
    shown = verdict if shown.empty else shown
    chosen = [of_chosen(report) for report in given]
    notes = [*map(escape, first_notes), *limits(len(verdict), protocol)]
    notes += [note for report in chosen for note in report_notes(report)]
    parts = [
        "# Does the data pay?",
        _introduction(protocol),
        *([] if not given else ["\n".join(_reasons(given))]),
        *_answers(shown),
        *_next_steps(shown, protocol),
        *_verdict_tables(shown),
        "## All arms, all defect types together",
        *(table for report in chosen for table in _arm_tables(report)),
        *_other_detectors(given, chosen),
        "## What this rests on, and its limits",
        "\n".join(f"- {note}" for note in notes),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(protocol: ProtocolOptions) -> str:
    return (
        "Detectors were trained with each arm's images and tested on real images only. An arm "
        f"**pays** or **harms** where the whole {100 * protocol.confidence:g} % interval of the "
        f"difference lies on one side of 0 and the difference is at least "
        f"{protocol.smallest_difference:g}. Everything else is **no evidence**, which does not "
        "prove that there is no difference. Beside each difference stands the smallest one that "
        f"this test set shows in {100 * POWER:g} % of all cases; where it is larger than "
        f"{protocol.largest_detectable:g}, or no arm does better than guessing, the verdict is "
        "**cannot judge**. Judged by pixel AP in localization, over all types by its mean over "
        "them, and by the F1 of the type in classification (macro F1 for all types together); "
        "this was fixed in the code before any result was seen."
    )


def _reasons(reports: Sequence[pd.DataFrame]) -> Iterator[str]:
    """Whose verdict it is and why, a line per task and category."""
    for report in reports:
        for (task, _, category), rows in report.groupby(CATEGORY, sort=False):
            yield f"- {category}, {task}: {reason(rows)}"


def _answers(verdict: pd.DataFrame) -> Iterator[str]:
    """A row per type and arm: over all controls, and against each."""
    if verdict.empty:
        yield "**There is nothing to judge:** no arm beside the controls was tested."
        return
    controls, found = controls_in(verdict), overall(verdict)
    cells = {(*_subject(row), row["against"]): row["verdict"] for row in verdict.to_dict("records")}
    lines = [
        [
            *(str(row[name]) for name in ("task", "category", "defect_type", "arm")),
            f"**{row['verdict']}**",
            *(cells.get((*_subject(row), name), "") for name in controls),
        ]
        for row in found.to_dict("records")
    ]
    against = [f"against {name}" for name in controls]
    yield "\n".join(_counts(found))
    yield (
        "An arm pays **in all** only if it pays against every control; in all it is given its "
        "least favourable verdict:"
    )
    yield markdown_table(["task", "category", "defect type", "arm", "in all", *against], lines)


def _next_steps(verdict: pd.DataFrame, protocol: ProtocolOptions) -> Iterator[str]:
    """What would settle what is open, under a heading, if anything would."""
    if steps := [*next_steps(verdict, protocol)]:
        yield "## What would settle what is open"
        yield "\n".join(f"- {step}" for step in steps)


def _counts(found: pd.DataFrame) -> Iterator[str]:
    """How often each arm pays against every control, over the single defect types."""
    for one in outcomes(found):
        listed = ", ".join(f"{name}: {count}" for name, count in one.counts.items())
        yield f"- **{one.arm}**, {one.task}: of {one.types} defect types {listed}"


def _subject(row: dict[Any, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in SUBJECT)


def _verdict_tables(verdict: pd.DataFrame) -> Iterator[str]:
    """Per task the verdicts in words against one control, then numbers against every one."""
    for task, rows in verdict.groupby("task", sort=False):
        controls = controls_in(rows)
        header = ["category", "defect type", "arm", *(f"against {name}" for name in controls)]
        lines = []
        for key, part in rows.groupby(SUBJECT[1:], sort=False):
            cells = {row["against"]: _verdict_cell(row) for row in part.to_dict("records")}
            lines.append([*map(str, key[1:]), *(cells.get(name, "") for name in controls)])
        yield f"## {str(task).capitalize()}"
        sentences = rows.loc[rows["against"] == controls[0], "sentence"]
        yield "\n".join(f"- {sentence}" for sentence in sentences)
        judged_by = " and ".join(METRIC_NAMES[name] for name in rows["metric"].unique())
        yield (
            f"Difference in {judged_by} with its interval; after ≥ the smallest difference that "
            "this test set could show:"
        )
        yield markdown_table(header, lines)


def _verdict_cell(row: dict[Any, Any]) -> str:
    name = row["verdict"]
    shown = f"**{name}**" if name in (PAYS, HARMS) else name
    if math.isnan(row["difference"]):
        return shown
    interval = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    return f"{shown} {interval} ≥{row['detectable']:.3f}"


def _arm_tables(report: pd.DataFrame) -> Iterator[str]:
    """Per category a table of all arms over all types, best guess and interval."""
    own = report[(report["against"] == "") & (report["defect_type"] == ALL)]
    for (task, _, category), rows in own.groupby(CATEGORY, sort=False):
        metrics = [name for name in _SHOWN[str(task)] if (rows["metric"] == name).any()]
        lines = []
        for (detector, arm, selected), part in rows.groupby(
            ["detector", "arm", "selected"], sort=False
        ):
            values = {
                row.metric: "not defined"
                if math.isnan(row.value)
                else f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
                for row in part.itertuples()
            }
            label = f"{arm} (inflated: best test checkpoint)" if selected == LEGACY else str(arm)
            lines.append([label, str(detector), *(values.get(name, "") for name in metrics)])
        yield f"### {category}, {task}"
        yield markdown_table(["arm", "detector", *(METRIC_NAMES[name] for name in metrics)], lines)


def _other_detectors(
    reports: Sequence[pd.DataFrame], chosen: Sequence[pd.DataFrame]
) -> Iterator[str]:
    """The arms of the detectors whose verdict it is not, in tables of their own."""
    others = [r[~r.index.isin(c.index)] for r, c in zip(reports, chosen, strict=True)]
    kinds = {
        "## The paper's detectors": [o[o["role"] == PAPER] for o in others],
        "## Detectors that the verdict does not speak of": [o[o["role"] != PAPER] for o in others],
    }
    for heading, tables in kinds.items():
        if any(len(table) for table in tables):
            yield heading
            yield "Trained beside, reported, and not judged:"
            for table in tables:
                yield from _arm_tables(table)
