"""Images in another tool's layout, in a folder outside the catalog; its card is kept here."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.pipelines.export.nodes import export_images


def create_pipeline() -> Pipeline:
    """`synthetic_images`, `samples` -> the folder `export.out`, `export_card`."""
    return Pipeline(
        [
            Node(
                export_images,
                ["synthetic_images", "samples", "params:export"],
                "export_card",
                name="export_images",
            )
        ],
        namespace="export",
        prefix_datasets_with_namespace=False,
    )
