"""What is held out of the base set, so that lengths and detectors are chosen without the test set.

What is held out leaves the training sets of all arms, with everything made from it that the plan
knows of. The generator of finished images was fitted to the whole base before, so on the held-out
part a detector trained on them may look better than it is. The part chooses a step within one
arm, and between detectors by an arm of real images; arms are never compared on it.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.files import natural_key
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed

log = logging.getLogger(__name__)


def held_out_groups(
    base: pd.DataFrame, share: float, folds: int, seed: int
) -> list[frozenset[str]]:
    """Draw the groups that judge, for each fold, per defect type.

    Args:
        base: Base samples of one category.
        share: Of a type's groups, rounded, at least one; but one always stays for training.
        folds: How many draws; they go through the groups in turn, so that as many as possible
            are held out once before any is twice.
        seed: The same seed draws the same groups, whatever other types there are.

    Raises:
        InputError: No type has two groups.
    """
    held: list[set[str]] = [set() for _ in range(folds)]
    for (category, defect_type), rows in base.groupby(["category", "defect_type"], sort=True):
        groups = sorted(set(rows["group"]), key=natural_key)
        if len(groups) < 2:
            log.warning("%s/%s has one base group: none is held out", category, defect_type)
            continue
        count = min(max(1, round(share * len(groups))), len(groups) - 1)
        rng = np.random.default_rng(counter_seed("validation", seed, category, defect_type))
        order = [groups[i] for i in rng.permutation(len(groups))]
        for fold, chosen in enumerate(held):
            places = range(fold * count, (fold + 1) * count)
            chosen |= {order[place % len(order)] for place in places}
    if not any(held):
        raise InputError(
            "no defect type has base images of two parts, so none can be held out",
            value=sorted(set(base["category"])),
            remedy="add base images, or set protocol.select to last",
        )
    return [frozenset(chosen) for chosen in held]


def can_hold_out(base: pd.DataFrame) -> bool:
    """Whether some defect type has base images of two parts."""
    return bool((base.groupby("defect_type")["group"].nunique() > 1).any())


def best_length(curves: pd.DataFrame) -> tuple[int, float]:
    """Return the step at which the mean score over folds is highest, and that score.

    Args:
        curves: fold, step and score of every judgement; a step counts where all folds have it.

    Returns:
        The step, 0 where no fold was judged, and the score, then nan.
    """
    table = curves.pivot_table(index="step", columns="fold", values="score").dropna()
    if table.empty:
        return 0, float("nan")
    means = table.mean(axis=1)
    return int(means.idxmax()), float(means.max())


def without_held_out(rows: pd.DataFrame, held: frozenset[str]) -> pd.DataFrame:
    """Replace the rows made from held-out samples by repeating others.

    A row gives way to one of its own kind and defect type, else of its kind, else to any; each
    pool is gone through in order, so that sets keep their size and nearly their composition.

    Args:
        rows: Rows of one arm's plan.
        held: sample_ids that must not be seen.

    Raises:
        InputError: Every row is made from a held-out sample.
    """
    seen = np.array([not held.intersection(s.split("|")) for s in rows["sources"]], dtype=bool)
    if seen.all():
        return rows
    if not seen.any():
        raise InputError(
            "every training image is made from a held-out sample",
            value=f"{rows['category'].iloc[0]}, arm {rows['arm'].iloc[0]}",
            remedy="lower protocol.validation_share, or set protocol.select to last",
        )
    kinds, types = rows["kind"].to_numpy(), rows["defect_type"].to_numpy()
    chosen, turns = np.arange(len(rows)), dict[bytes, int]()
    for row in np.flatnonzero(~seen):
        same_kind = seen & (kinds == kinds[row])
        pools = (same_kind & (types == types[row]), same_kind, seen)
        pool = next(np.flatnonzero(p) for p in pools if p.any())
        turn = turns.get(pool.tobytes(), 0)
        chosen[row], turns[pool.tobytes()] = pool[turn % len(pool)], turn + 1
    replaced = rows.iloc[chosen].copy()
    replaced["row"] = rows["row"].to_numpy()
    return replaced.set_axis(rows.index)
