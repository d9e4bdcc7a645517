"""What a verdict rests on, and what limits it, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import (
    ALL,
    METRIC_NAMES,
    fewest_groups,
    primary_metric,
)


def notes(
    verdict: pd.DataFrame, reports: Sequence[pd.DataFrame], protocol: ProtocolOptions
) -> Iterator[str]:
    """Yield what a reader must know before acting on the verdict, a sentence or two each.

    Args:
        verdict: From `make_verdict`.
        reports: The reports it was made from, none of them empty.
        protocol: The settings both were made with.
    """
    seeds = len(protocol.seeds)
    yield (
        f"Intervals: percentile bootstrap with {protocol.bootstrap} resamples, drawn over the "
        "groups of test images within each defect type and over seeds, the same draws for all "
        f"arms; {percent(protocol)}. The seeds' part is widened for their small number."
    )
    yield (
        f"A defect type with fewer than {fewest_groups(protocol.confidence)} independent test "
        "images is never said to pay or to harm."
    )
    yield _seeds_note(seeds)
    expected = (1 - protocol.confidence) * len(verdict)
    yield (
        f"{len(verdict)} comparisons were made and the intervals are not corrected for their "
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
    for report in reports:
        yield from _report_notes(report)


def _seeds_note(seeds: int) -> str:
    if seeds == 1:
        return (
            "One seed: the intervals cover the choice of test images only. Another training may "
            "turn out differently; use at least three seeds before acting on a verdict."
        )
    text = f"{seeds} seeds: every arm started from the same weights in the same order."
    few = " The spread between so few trainings is known only roughly; three or more are better."
    return text + (few if seeds < 3 else "")


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
    judged = own[own["metric"] == [primary_metric(task, kind) for kind in own["defect_type"]]]
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


def percent(protocol: ProtocolOptions) -> str:
    """The confidence as people write it."""
    return f"{100 * protocol.confidence:g} %"
