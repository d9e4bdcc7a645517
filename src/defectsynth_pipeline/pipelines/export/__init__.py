"""Images in another tool's layout, in a folder outside the catalog; its card is kept here."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.pipelines.boxes import boxed
from defectsynth_pipeline.pipelines.export.nodes import export_images
from defectsynth_pipeline.pipelines.task import reviewing


def create_pipeline() -> Pipeline:
    """`synthetic_images`, `review`, `samples` -> the folder `export.out`, `export_card`."""
    given = ["reviewed_images", "samples", "params:export"]
    own = boxed("export", [Node(export_images, given, "export_card", name="export_images")])
    return Pipeline([reviewing()]) + own
