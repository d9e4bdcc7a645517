"""The verdict on a set of images, put into the report of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
from markdown_it import MarkdownIt

from defectsynth_pipeline.figures.forest import draw_verdict
from defectsynth_pipeline.figures.lines import draw_ratio
from defectsynth_pipeline.figures.overlays import draw_overlays
from defectsynth_pipeline.figures.performance import draw_curves
from defectsynth_pipeline.inspection.results import LocalizationResults
from defectsynth_pipeline.report.inline import drawing, picture
from defectsynth_pipeline.report.page import fill, rendered
from defectsynth_pipeline.verdict.verdict import outcomes, overall


class Judged(NamedTuple):
    """What `downstream` found, by the names of the catalog."""

    verdict: pd.DataFrame
    verdict_page: str
    localization_results: LocalizationResults
    samples: pd.DataFrame
    ratio_curve: pd.DataFrame


def with_verdict(page: str, judged: Judged, seconds: Mapping[str, float]) -> str:
    """Put the verdict into the report of the images it is about.

    Args:
        page: From `page.image_report`.
        judged: What was found.
        seconds: What each node of the judging run took.

    Raises:
        InputError: It is no such page.
    """
    verdict = judged.verdict[~judged.verdict["arm"].str.contains("@")]
    found = overall(verdict) if len(verdict) else verdict
    told = list(outcomes(found)) if len(found) else []
    pictures = {
        "What each type gains": drawing(draw_verdict(judged.verdict)),
        "Defects found against false alarms": drawing(draw_curves(judged.localization_results)),
    }
    if len(judged.ratio_curve):
        pictures["How many images are worth making"] = drawing(draw_ratio(judged.ratio_curve))
    overlays = draw_overlays(judged.localization_results, judged.samples)
    section = rendered(
        "verdict.html.j2",
        rows=found.to_dict("records") if len(found) else [],
        sentences=list(verdict["sentence"]) if len(verdict) else [],
        pictures=pictures,
        overlays=picture(overlays, dpi=90),
        whole=MarkdownIt("commonmark", {"html": False}).enable("table").render(judged.verdict_page),
        seconds=sum(seconds.values()),
    )
    answer = rendered("answer.html.j2", outcomes=told)
    return fill(fill(page, "answer", answer), "verdict", section)
