"""The verdict as one page of Markdown: answers first, then every arm, then what limits them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import (
    ALL,
    CATEGORY,
    HARMS,
    METRIC_NAMES,
    NO_EVIDENCE,
    PAYS,
    controls_in,
    fewest_groups,
    is_primary,
)

_SHOWN = {
    "classification": ("macro_f1", "accuracy"),
    "localization": ("pixel_ap", "pro", "pixel_f1", "pixel_auroc", "image_auroc"),
}


def verdict_markdown(
    verdict: pd.DataFrame,
    reports: Sequence[pd.DataFrame],
    protocol: ProtocolOptions,
    left_out: Sequence[str] = (),
) -> str:
    """Write the verdict for a person: headlines, arms with intervals, notes on what limits it.

    Points `a@n` of a ratio curve are not among the headlines, but among the arms.

    Args:
        verdict: From `make_verdict`.
        reports: The reports it was made from, one per task; one may be empty.
        protocol: The settings both were made with.
        left_out: What was not judged and why, a sentence each.

    Returns:
        Markdown with tables.
    """
    given = [report for report in reports if len(report)]
    shown = verdict[~verdict["arm"].str.contains("@")]
    shown = verdict if shown.empty else shown
    percent = f"{100 * protocol.confidence:g} %"
    notes = [*left_out, *_notes(len(verdict), percent, protocol)]
    notes += [note for report in given for note in _report_notes(report)]
    parts = [
        "# Does the data pay?",
        "Detectors were trained with each arm's images and tested on real images only. An arm "
        f"**pays** or **harms** where the whole {percent} interval of the difference "
        f"lies on one side of 0 and the difference is at least {protocol.smallest_difference:g}. "
        "Everything else is **no evidence**, which does not prove that there is no difference. "
        "Judged by pixel AP in localization and by the F1 of the type in classification (macro "
        "F1 for all types together); this was fixed in the code before any result was seen.",
        _counts(shown),
        *_verdict_tables(shown),
        "## All arms, all defect types together",
        *(table for report in given for table in _arm_tables(report)),
        "## What this rests on, and its limits",
        "\n".join(f"- {note}" for note in notes),
    ]
    return "\n\n".join(parts) + "\n"


def _counts(verdict: pd.DataFrame) -> str:
    """How often each arm pays, over the single defect types."""
    if verdict.empty:
        return "**There is nothing to judge:** no arm beside the controls was tested."
    single = verdict[verdict["defect_type"] != ALL]
    controls = controls_in(verdict)
    lines = []
    for (task, arm), rows in single.groupby(["task", "arm"], sort=False):
        cells = []
        for control in controls:
            found = rows.loc[rows["against"] == control, "verdict"].value_counts()
            outcomes = [name for name in (PAYS, NO_EVIDENCE, HARMS) if name in found]
            cells.append(", ".join(f"{name}: {found[name]}" for name in outcomes))
        lines.append([str(task), f"**{arm}**", *cells])
    header = ["task", "arm", *(f"against {name}" for name in controls)]
    return f"Number of defect types by verdict:\n\n{_table(header, lines)}"


def _verdict_tables(verdict: pd.DataFrame) -> Iterator[str]:
    """Per task the verdicts in words against one control, then numbers against every one."""
    for task, rows in verdict.groupby("task", sort=False):
        controls = controls_in(rows)
        header = ["category", "defect type", "arm", *(f"against {name}" for name in controls)]
        lines = []
        place = ["corpus", "category", "defect_type", "arm"]
        for key, part in rows.groupby(place, sort=False):
            cells = {row["against"]: _verdict_cell(row) for row in part.to_dict("records")}
            lines.append([*key[1:], *(cells.get(name, "") for name in controls)])
        yield f"## {str(task).capitalize()}"
        sentences = rows.loc[rows["against"] == controls[0], "sentence"]
        yield "\n".join(f"- {sentence}" for sentence in sentences)
        judged_by = " and ".join(METRIC_NAMES[name] for name in rows["metric"].unique())
        yield f"Difference in {judged_by} with its interval:"
        yield _table(header, lines)


def _verdict_cell(row: dict[Any, Any]) -> str:
    name = row["verdict"]
    shown = name if name == NO_EVIDENCE else f"**{name}**"
    if math.isnan(row["difference"]):
        return shown
    return f"{shown} {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def _arm_tables(report: pd.DataFrame) -> Iterator[str]:
    """Per category a table of all arms over all types, best guess and interval."""
    own = report[(report["against"] == "") & (report["defect_type"] == ALL)]
    for (task, _, category), rows in own.groupby(CATEGORY, sort=False):
        metrics = [name for name in _SHOWN[str(task)] if (rows["metric"] == name).any()]
        lines = []
        for (arm, selected), part in rows.groupby(["arm", "selected"], sort=False):
            values = {
                row.metric: "not defined"
                if math.isnan(row.value)
                else f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
                for row in part.itertuples()
            }
            label = f"{arm} (inflated: best test checkpoint)" if selected == LEGACY else str(arm)
            lines.append([label, *(values.get(name, "") for name in metrics)])
        yield f"### {category}, {task}"
        yield _table(["arm", *(METRIC_NAMES[name] for name in metrics)], lines)


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def _notes(comparisons: int, percent: str, protocol: ProtocolOptions) -> Iterator[str]:
    """What a reader must know before acting on the verdict, a sentence or two each."""
    seeds = len(protocol.seeds)
    yield (
        f"Intervals: percentile bootstrap with {protocol.bootstrap} resamples, drawn over the "
        "groups of test images within each defect type and over seeds, the same draws for all "
        f"arms; {percent}. The seeds' part is widened for their small number."
    )
    yield (
        f"A defect type with fewer than {fewest_groups(protocol.confidence)} independent test "
        "images is never said to pay or to harm."
    )
    if seeds == 1:
        yield (
            "One seed: the intervals cover the choice of test images only. Another training may "
            "turn out differently; use at least three seeds before acting on a verdict."
        )
    else:
        few = (
            " The spread between so few trainings is known only roughly; three or more are better."
        )
        yield (
            f"{seeds} seeds: every arm started from the same weights in the same order."
            f"{few if seeds < 3 else ''}"
        )
    expected = (1 - protocol.confidence) * comparisons
    yield (
        f"{comparisons} comparisons were made and the intervals are not corrected for their "
        f"number: about {expected:.1f} would exclude 0 by chance if no arm differed at all."
    )
    how = {
        "last": "Every model is that of the last step",
        "validation": "The step of every model was chosen on a held-out part of the base set",
    }
    yield f"{how[protocol.select]}; the test set chose nothing that is judged."
    yield (
        "One set of generated images and one division into base and test were judged; the "
        "intervals do not cover another run of the generator or another division."
    )


def _report_notes(report: pd.DataFrame) -> Iterator[str]:
    """What the tables need beside them, from one report."""
    task = str(report["task"].iloc[0])
    yield f"{task}: initial weights: {_listed(report['weights'].unique())}."
    if "from scratch" in set(report["weights"]):
        yield (
            f"{task}: networks from scratch score lower than networks that start from ImageNet "
            "weights; do not set these values beside published ones."
        )
    own = report[report["against"] == ""]
    judged = own[is_primary(own)]
    noted = judged[(judged["note"] != "") & (judged["selected"] != LEGACY)]
    for note, rows in noted.groupby("note", sort=False):
        places = (rows["category"] + " / " + rows["defect_type"]).unique()
        yield f"{task}, {_listed(places)}: {note}."
    missing = own[own["note"].str.startswith("not defined") & (own["defect_type"] == ALL)]
    for (category, note), rows in missing.groupby(["category", "note"], sort=False):
        names = _listed(METRIC_NAMES.get(m, m) for m in rows["metric"].unique())
        yield f"{task}, {category}: {names}: {note}."
    if (report["selected"] == LEGACY).any():
        yield (
            f"{task}: rows marked inflated chose their checkpoint on the test set, as published "
            "systems do. They are for comparison with published numbers and are not judged."
        )


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
