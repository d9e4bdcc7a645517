"""`classification_versions`, `localization_versions` -> `table_viii`, `table_ix`, `table_x`."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.pipelines.tables.nodes import average_partitions, draw_tables


def create_pipeline() -> Pipeline:
    """The tables over partitions; run `downstream` once per partition before."""
    return Pipeline(
        [
            Node(
                average_partitions,
                inputs=["classification_versions", "localization_versions"],
                outputs=["table_viii", "table_ix", "table_x"],
                name="average_partitions",
            ),
            Node(
                draw_tables,
                inputs=["table_viii", "table_ix", "table_x"],
                outputs="paper_tables",
                name="draw_tables",
            ),
        ],
        namespace="tables",
        prefix_datasets_with_namespace=False,
    )
