"""Nodes of the tables over partitions."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure


def average_partitions(
    classification: pd.DataFrame, localization: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Lay out the latest report of every partition as the paper's Tables VIII, IX and X."""
    from defectsynth_pipeline.verdict.tables import make_paper_tables

    return make_paper_tables(classification, localization)


def draw_tables(viii: pd.DataFrame, ix: pd.DataFrame, x: pd.DataFrame) -> Figure:
    """The three tables as one picture, ours beside the paper's."""
    from defectsynth_pipeline.figures.paper import draw_paper_tables

    return draw_paper_tables(viii, ix, x)
