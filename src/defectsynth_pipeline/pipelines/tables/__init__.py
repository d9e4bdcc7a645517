"""The reports of the partitions, averaged in the layouts of the paper's tables."""

from __future__ import annotations

import pandas as pd
from kedro.pipeline import Node, Pipeline
from matplotlib.figure import Figure

from defectsynth_pipeline.verdict.paper_tables import PARTITIONS


def average_partitions(*reports: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Lay out the reports as Tables VIII, IX and X: first classification's, then localization's."""
    from defectsynth_pipeline.verdict.paper_tables import make_paper_tables

    return make_paper_tables(reports[:PARTITIONS], reports[PARTITIONS:])


def draw_tables(viii: pd.DataFrame, ix: pd.DataFrame, x: pd.DataFrame) -> Figure:
    """The three tables as one picture, ours beside the paper's."""
    from defectsynth_pipeline.figures.paper import draw_paper_tables

    return draw_paper_tables(viii, ix, x)


def create_pipeline() -> Pipeline:
    """The latest report of every partition -> `table_viii`, `table_ix`, `table_x`."""
    names = ["table_viii", "table_ix", "table_x"]
    reports = [
        f"partition_{number}.{task}_report"
        for task in ("classification", "localization")
        for number in range(PARTITIONS)
    ]
    return Pipeline(
        [
            Node(average_partitions, reports, names, name="average_partitions"),
            Node(draw_tables, names, "paper_tables", name="draw_tables"),
        ],
        namespace="tables",
        prefix_datasets_with_namespace=False,
    )
