"""Nodes of the report."""

from __future__ import annotations

import pandas as pd

from defectsynth_pipeline.hooks.timing import seconds_so_far
from defectsynth_pipeline.imagesets import ImageSet


def write_report(
    samples: pd.DataFrame,
    images: ImageSet,
    summary: pd.DataFrame,
    choice: pd.DataFrame,
    trials: pd.DataFrame,
    certificate: pd.DataFrame,
) -> str:
    """Write the page on a set of images; `downstream` writes it again with its verdict in it."""
    from defectsynth_pipeline.report.findings import Tables
    from defectsynth_pipeline.report.page import image_report

    tables = Tables(samples, summary, choice, trials, certificate)
    return image_report(tables, images, seconds_so_far())
