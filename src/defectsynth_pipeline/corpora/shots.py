"""Few-shot bases: a few base images of each defect type are kept, the others are used for nothing.

The test set is that of the whole base, so what a few images bring can be compared with what all
of them do.
"""

from __future__ import annotations

import logging

import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD, UNUSED
from defectsynth_pipeline.corpora.files import natural_key
from defectsynth_pipeline.fingerprints import counter_seed

_log = logging.getLogger(__name__)
_TYPE = ["corpus", "category", "defect_type"]
_FILE = ["root", "image"]


def keep_shots(samples: pd.DataFrame, shots: int | None, seed: int) -> pd.DataFrame:
    """Keep some base samples of every defect type; the split of the others becomes `unused`.

    Parts (`group`) come in one random order for all types, each with all its samples, as who
    has few photographs has photographed few parts. Only the second part is let in after the first
    one's first sample, so that one part can be held out wherever a type has two. A larger number
    of shots keeps what a smaller one keeps. Defect-free samples of a file whose defects are all
    left out, as windows or with the defect removed, are left out with it.

    Args:
        samples: Columns of `COLUMNS`, `split` decided.
        shots: Base samples per type, at least 2; None keeps all.
        seed: Of the parts' order.

    Returns:
        A copy, the same rows with "unused" in `split` where "base" or "normal" was.
    """
    result = samples.copy()
    if shots is None:
        return result
    base = result[result["split"] == "base"]
    kept = [i for _, rows in base.groupby(_TYPE) for i in _ranked(rows, seed)[:shots]]
    surplus = base.drop(index=kept)
    left = pd.MultiIndex.from_frame(surplus[_FILE]).difference(
        pd.MultiIndex.from_frame(base.loc[kept, _FILE])
    )
    beside = pd.MultiIndex.from_frame(result[_FILE]).isin(left)
    normal = (result["split"] == "normal") & (result["defect_type"] == GOOD)
    result.loc[surplus.index, "split"] = UNUSED
    result.loc[normal & beside, "split"] = UNUSED
    for name, rows in base.loc[kept].groupby(_TYPE):
        parts = rows["group"].nunique()
        _log.info("%s: %d shots of %d parts", "/".join(map(str, name)), len(rows), parts)
    return result


def _ranked(rows: pd.DataFrame, seed: int) -> list[int]:
    """Index of the samples of one type, the first to be kept first."""
    order = sorted(set(rows["group"]), key=lambda group: (counter_seed(seed, group), group))
    place = {group: number for number, group in enumerate(order)}
    names = rows["sample_id"].to_dict()
    turns = sorted(rows.index, key=lambda i: (place[rows["group"][i]], natural_key(names[i])))
    second = next((i for i in turns if place[rows["group"][i]] == 1), None)
    if second is not None:
        turns.remove(second)
        turns.insert(1, second)
    return turns
