"""What a reader must know before acting on a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import (
    ALL,
    METRIC_NAMES,
    NORMALS_ONLY,
    fewest_groups,
    is_primary,
)
from defectsynth_pipeline.verdict.sentences import counted


def limits(comparisons: int, protocol: ProtocolOptions) -> Iterator[str]:
    """What holds for every verdict of a protocol, a sentence or two each.

    Args:
        comparisons: How many differences were judged.
        protocol: How.
    """
    seeds = len(protocol.seeds)
    yield (
        f"Intervals: percentile bootstrap with {protocol.bootstrap} resamples, drawn over the "
        "groups of test images within each defect type and over seeds, the same draws for all "
        f"arms; {100 * protocol.confidence:g} %. The seeds' part is widened for their small number."
    )
    yield (
        f"A defect type with fewer than {fewest_groups(protocol.confidence)} independent test "
        "images is never said to pay or to harm."
    )
    yield (
        "Guessing is what the same answers would score, dealt out at random: the share of defect "
        "pixels for pixel AP. An arm has learned where the lower end of its interval is more than "
        f"{protocol.smallest_difference:g} above it."
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


def split_notes(samples: pd.DataFrame) -> Iterator[str]:
    """How many images, of how many parts, each type has in the base and to be tested with."""
    yield (
        "Images of one part (a group: one photograph or radiograph, shots of one defect, or what "
        "`ingest.group_by` names) are not independent: they stay on one side of the split and the "
        "bootstrap draws them together, so parts count, not images."
    )
    defective = samples[samples["defect_type"] != GOOD]
    for (category, kind), rows in defective.groupby(["category", "defect_type"], sort=True):
        sides = {side: rows[rows["split"] == side] for side in ("base", "test")}
        base, test = (
            counted(len(side), "image") + " of " + counted(side["group"].nunique(), "part")
            for side in sides.values()
        )
        warning = (
            "; a base of a single part says nothing about other parts"
            if sides["base"]["group"].nunique() == 1
            else ""
        )
        yield f"{category} / {kind}: base {base}, test {test}{warning}."


def report_notes(report: pd.DataFrame) -> Iterator[str]:
    """What the tables need beside them, from one report's chosen rows (`choice.of_chosen`)."""
    task = str(report["task"].iloc[0])
    trained = report.loc[report["arm"] != NORMALS_ONLY, "weights"].unique()
    yield f"{task}: initial weights: {_listed(trained)}."
    if "from scratch" in trained:
        yield (
            f"{task}: networks from scratch score lower than networks that start from ImageNet "
            "weights; do not set these values beside published ones."
        )
    if (report["arm"] == NORMALS_ONLY).any():
        yield (
            f"{task}: {NORMALS_ONLY} has seen no defect: a memory of patch features of good "
            "images, in which a test image's patches look for their nearest neighbour (PatchCore)."
        )
    yield from _row_notes(report, task)
    if (report["selected"] == LEGACY).any():
        yield (
            f"{task}: rows marked inflated chose their checkpoint on the test set, as published "
            "systems do. They are for comparison with published numbers and are not judged."
        )


def _row_notes(report: pd.DataFrame, task: str) -> Iterator[str]:
    """The notes of single rows, each once with the places it is about."""
    judged = report[is_primary(report) & (report["selected"] != LEGACY)]
    judged = judged.assign(note=judged["note"].str.split("; ")).explode("note")
    own, pairs = (judged[(judged["against"] == "") == alone] for alone in (True, False))
    for note, rows in own[own["note"] != ""].groupby("note", sort=False):
        places = (rows["category"] + " / " + rows["defect_type"]).unique()
        yield f"{task}, {_listed(places)}: {note}."
    said = set(own["note"])
    pairs = pairs[(pairs["note"] != "") & ~pairs["note"].isin(said)]
    for (arm, against, note), rows in pairs.groupby(["arm", "against", "note"], sort=False):
        places = (rows["category"] + " / " + rows["defect_type"]).unique()
        yield f"{task}, {arm} against {against}, {_listed(places)}: {note}."
    alone = report[(report["against"] == "") & (report["defect_type"] == ALL)]
    missing = alone[alone["note"].str.startswith("not defined") & ~is_primary(alone)]
    for (category, note), rows in missing.groupby(["category", "note"], sort=False):
        names = _listed(METRIC_NAMES.get(m, m) for m in rows["metric"].unique())
        yield f"{task}, {category}: {names}: {note}."


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
