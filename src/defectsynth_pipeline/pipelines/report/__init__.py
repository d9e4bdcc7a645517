"""The end of `augment`: one page on what was made, from what and how well."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.pipelines.report.nodes import write_report


def create_pipeline() -> Pipeline:
    """`synthetic_images` and the tables on them -> `report`."""
    told = ["samples", "synthetic_images", "synthesis_summary", "engine_choice", "engine_trials"]
    # In no box: what it reads and writes is what a person looks for.
    page = Node(write_report, [*told, "certificate_test"], "report", name="write_report")
    return Pipeline([page], tags="pictures")
