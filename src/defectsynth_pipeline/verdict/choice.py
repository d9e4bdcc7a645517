"""Which detector a verdict speaks of: the better one on held-out base images, never on test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from defectsynth_pipeline.inspection.results import MAIN, PAPER
from defectsynth_pipeline.verdict.comparison import CATEGORY, METRIC_NAMES, NORMALS_ONLY

_HELD_OUT = {"classification": "macro_f1", "localization": "mean_pixel_ap"}


def of_chosen(table: pd.DataFrame, place: Sequence[str] = CATEGORY) -> pd.DataFrame:
    """The rows of each category's chosen detector, and those of `normals_only`, in their order.

    Args:
        table: A report or the `meta` of results: detector, arm, role, held_out and `place`.
        place: The columns that name one category.
    """
    kept = np.zeros(len(table), dtype=bool)
    for positions in table.groupby(list(place), sort=False).indices.values():
        rows = table.iloc[positions]
        mine = (rows["detector"] == chosen_detector(rows)) | (rows["arm"] == NORMALS_ONLY)
        kept[positions] = mine
    return table[kept]


def chosen_detector(rows: pd.DataFrame) -> str:
    """The detector of one category whose `base` arm is better on held-out base images.

    If the main detector has no such score, it is that one, whatever the others have. "" if nothing
    but `normals_only` is there.

    Args:
        rows: detector, arm, role and held_out of one task and category.
    """
    trained = _trained(rows)
    if trained.empty:
        return ""
    if pd.isna(trained["held_out"].iloc[0]):
        return str(trained["detector"].iloc[0])
    return str(trained.loc[trained["held_out"].idxmax(), "detector"])


def reason(rows: pd.DataFrame) -> str:
    """One sentence on whose verdict it is and why; rows as in `chosen_detector`, with a task."""
    trained, chosen = _trained(rows), chosen_detector(rows)
    if trained.empty:
        return "no detector was trained."
    metric = METRIC_NAMES[_HELD_OUT[str(rows["task"].iloc[0])]]
    mine = trained[trained["detector"] == chosen].iloc[0]
    others = trained[trained["detector"] != chosen]
    text = f"the verdict is that of {detector_name(mine['detector'], mine['role'])}"
    if not pd.isna(mine["held_out"]):
        text += f", whose base arm has {metric} {mine['held_out']:.3f} on held-out base images"
    elif len(others):
        text += ", the main one: its base arm was not scored on held-out base images"
    else:
        return f"{text}, the only one that was trained."
    beside = [
        f"{detector_name(detector, role)}: {'not scored' if pd.isna(score) else f'{score:.3f}'}"
        for detector, role, score in others.itertuples(index=False)
    ]
    return "; ".join([text, *beside]) + "."


def detector_name(detector: str, role: str) -> str:
    """How a detector is called in a text."""
    return f"the paper's detectors ({detector})" if role == PAPER else f"the {detector} detector"


def _trained(rows: pd.DataFrame) -> pd.DataFrame:
    """detector, role and held_out of each detector that was trained, the main one first."""
    trained = rows[rows["arm"] != NORMALS_ONLY].drop_duplicates("detector")
    trained = trained[["detector", "role", "held_out"]]
    main_first = trained.sort_values("role", key=lambda role: role != MAIN, kind="stable")
    return main_first.reset_index(drop=True)
