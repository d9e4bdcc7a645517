"""Table X's layout: every metric without and with DefectSynth, and the difference."""

from __future__ import annotations

import pandas as pd

from defectsynth_pipeline.verdict.paper import (
    CLASSIFICATION,
    CONTROL,
    LOCALIZATION,
    OURS,
    ordered,
)
from defectsynth_pipeline.verdict.partitions import Runs, join_notes, join_partitions


def table_x(runs_of: dict[str, Runs], paper: pd.DataFrame) -> pd.DataFrame:
    """Without and with DefectSynth, per corpus; the paper's own are of its tire images.

    `difference_lowest` and `difference_highest` are over single categories and partitions.
    """
    tire = paper[paper["table"] == "X"].set_index("metric")
    rows = []
    for task, metrics in (("classification", CLASSIFICATION), ("localization", LOCALIZATION)):
        runs = runs_of[task]
        for corpus in runs.corpora() or [""]:
            for metric in metrics:
                base, ours = tire.loc[metric, CONTROL], tire.loc[metric, OURS]
                rows.append(
                    {"task": task, "corpus": corpus, "metric": metric}
                    | _differences(runs, corpus, metric)
                    | {f"paper.{CONTROL}": base, f"paper.{OURS}": ours}
                    | {"paper.difference": round(ours - base, 2)}
                )
    return ordered(rows, ["categories", CONTROL, OURS, "difference"])


def _differences(runs: Runs, corpus: str, metric: str) -> dict[str, object]:
    values = runs.values[(runs.values["corpus"] == corpus) & (runs.values["metric"] == metric)]
    keys = ["category", "partition"]
    pairs = values.pivot(index=keys, columns="arm", values="value") * 100
    pairs = pairs.reindex(columns=[CONTROL, OURS]).dropna()
    used = pairs.index.get_level_values("category").unique()
    unpaired = [name for name in runs.corpora().get(corpus, []) if name not in used]
    notes = [f"{corpus or 'this task'}: no report" if corpus not in runs.corpora() else ""]
    notes += [f"{name}: no partition has both {CONTROL} and {OURS}" for name in unpaired]
    notes += [f"{name}: {runs.notes[corpus, name]}" for name in used if runs.notes[corpus, name]]
    gains = pairs[OURS] - pairs[CONTROL]
    means = pairs.assign(gain=gains).groupby("category", sort=False).mean().mean()
    partitions = (
        "+".join(map(str, sorted(set(part.get_level_values("partition")))))
        for part in (pairs.loc[[name]].index for name in used)
    )
    return {
        "partitions": join_partitions(partitions),
        "categories": len(used),
        CONTROL: round(means[CONTROL], 2),
        OURS: round(means[OURS], 2),
        "difference": round(means["gain"], 2),
        "difference_lowest": round(gains.min(), 2),
        "difference_highest": round(gains.max(), 2),
        "note": join_notes(notes),
    }
