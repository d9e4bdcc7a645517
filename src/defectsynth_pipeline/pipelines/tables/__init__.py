"""The reports of the partitions, averaged in the layouts of the paper's tables."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures.paper import draw_paper_tables
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.verdict.paper_tables import PARTITIONS, make_paper_tables


def create_pipeline() -> Pipeline:
    """The latest report of every partition -> `table_viii`, `table_ix`, `table_x`."""
    names = ["table_viii", "table_ix", "table_x"]
    tasks, numbers = ("classification", "localization"), range(PARTITIONS)
    reports = [f"partition_{number}.{task}_report" for task in tasks for number in numbers]
    stage = [Node(make_paper_tables, reports, names, name="average_partitions")]
    drawn = [Node(draw_paper_tables, names, "paper_tables", name="draw_tables")]
    return boxed("tables", stage, tags="judgement") + pictures(drawn)
