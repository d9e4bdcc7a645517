"""The paper's Tables II and III, beside what is measured here by the same networks.

They are of its own images of whole data sets, so they say what was claimed of a method, not what a
run here should reach.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from defectsynth_pipeline.verdict.comparison import ALL
from defectsynth_pipeline.verdict.paper_tables import paper_corpus, plain
from defectsynth_pipeline.verdict.seen import WHOLE

ASSET = Path(__file__).parents[1] / "assets" / "paper_quality.csv"
COLUMNS = {"kid": "paper_kid", "lpips": "paper_lpips", "is": "paper_is"}
_AVERAGE = "average"


def paper_quality() -> pd.DataFrame:
    """Tables II and III: table, corpus, category, metric (kid x 10^3, lpips, is), arm, value.

    `category` is "average" for a data set as a whole. NaN where the paper prints a dash.
    """
    printed = pd.read_csv(ASSET)
    return printed.melt(["table", "corpus", "category", "metric"], var_name="arm")


def beside_paper(table: pd.DataFrame, comparable: bool) -> pd.DataFrame:
    """Add `COLUMNS` to rows of whole images of a category and an arm that the paper has.

    Args:
        table: With corpus, category, defect_type, arm and region.
        comparable: Whether the table was measured by the paper's networks; NaN if not.
    """
    table = table.assign(**dict.fromkeys(COLUMNS.values(), np.nan))
    if not comparable:
        return table
    printed = paper_quality().assign(arm=lambda t: t["arm"].map(plain))
    printed = printed.assign(category=printed["category"].map(plain))
    values = printed.set_index(["corpus", "category", "arm", "metric"])["value"]
    for place, row in table.iterrows():
        if row["defect_type"] == ALL and row["region"] == WHOLE:
            corpus, arm = paper_corpus(row["corpus"]), plain(row["arm"].removeprefix("external:"))
            category = plain(row["category"]) if corpus == "mvtec" else _AVERAGE
            for metric, column in COLUMNS.items():
                table.loc[place, column] = values.get((corpus, category, arm, metric), np.nan)
    return table
