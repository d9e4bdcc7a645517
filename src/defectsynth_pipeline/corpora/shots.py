"""The base cut to a few images of each defect type; the others are used for nothing.

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


def keep_shots(samples: pd.DataFrame, shots: int, seed: int) -> pd.DataFrame:
    """Keep some base samples of every defect type; the split of the others becomes `unused`.

    Parts (`group`) come in one random order for all types: the first sample of every part, then
    the second of every part, and so on, because two shots of one part show one defect. A larger
    number of shots keeps what a smaller one keeps. Defect-free samples of a file whose defects
    are all left out, as windows or with the defect removed, are left out with it.

    Args:
        samples: Columns of `COLUMNS`, `split` decided.
        shots: Base samples per type, at least 2.
        seed: Of the parts' order.

    Returns:
        A copy, the same rows with "unused" in `split` where "base" or "normal" was.
    """
    result = samples.copy()
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
    for name, rows in surplus.groupby(_TYPE):
        taken = base.loc[kept].merge(rows[_TYPE].drop_duplicates())
        _log.info(
            "%s: %d base images of %d parts are kept, %d are left out",
            "/".join(map(str, name)),
            len(taken),
            taken["group"].nunique(),
            len(rows),
        )
    return result


def _ranked(rows: pd.DataFrame, seed: int) -> list[int]:
    """Index of the samples of one type, the first to be kept first."""
    order = sorted(set(rows["group"]), key=lambda group: (counter_seed(seed, group), group))
    place = {group: number for number, group in enumerate(order)}
    names = rows["sample_id"].to_dict()
    within = rows.loc[sorted(rows.index, key=lambda i: natural_key(names[i]))]
    turn = within.groupby("group").cumcount().to_dict()
    return sorted(rows.index, key=lambda i: (turn[i], place[rows["group"][i]]))
