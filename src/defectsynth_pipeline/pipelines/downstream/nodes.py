"""Nodes that judge: what do the detectors gain from each arm?"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from defectsynth_pipeline import figures
from defectsynth_pipeline.arms.plan import skipped_categories
from defectsynth_pipeline.hooks.timing import seconds_so_far
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.review.decisions import Reviewed
from defectsynth_pipeline.review.lessons import review_notes, summarise_review
from defectsynth_pipeline.verdict.notes import split_notes
from defectsynth_pipeline.verdict.page import verdict_markdown
from defectsynth_pipeline.verdict.ratio import ratio_curve
from defectsynth_pipeline.verdict.verdict import make_verdict


def judge(
    classification: pd.DataFrame,
    localization: pd.DataFrame,
    samples: pd.DataFrame,
    reviewed: Reviewed | None,
    protocol: ProtocolOptions,
) -> tuple[pd.DataFrame, str, pd.DataFrame]:
    """Pays, no evidence or harms, per defect type and arm, as a table and as a page to read; and
    what a person had decided about the images.
    """
    reports = [classification, localization]
    verdict = make_verdict(pd.concat(reports, ignore_index=True), protocol)
    skipped = skipped_categories(samples, "classification")
    notes = [f"classification: {name} is left out: {why}." for name, why in skipped.items()]
    review = summarise_review(reviewed)
    notes += [*review_notes(review), *split_notes(samples)]
    return verdict, verdict_markdown(verdict, reports, protocol, notes), review


def measure_ratio(classification: pd.DataFrame, localization: pd.DataFrame) -> pd.DataFrame:
    """What more synthetic images bring; empty unless `arms.ratio` asks for it."""
    return ratio_curve(pd.concat([classification, localization], ignore_index=True))


def draw_training(classification: pd.DataFrame, localization: pd.DataFrame) -> Figure:
    """Training loss over steps, per category and arm."""
    return figures.draw_training(pd.concat([classification, localization], ignore_index=True))


def continue_report(page: str, measured: str) -> str:
    """The report of the images, with their measures where `quality` has put them into it."""
    from defectsynth_pipeline.report.page import extended

    return extended(page, measured)


def report_verdict(
    page: str,
    verdict: pd.DataFrame,
    verdict_page: str,
    localization: Any,
    samples: pd.DataFrame,
    ratio: pd.DataFrame,
) -> str:
    """The report of the images, with what the detectors made of them in it."""
    from defectsynth_pipeline.report.judgement import Judged, with_verdict

    judged = Judged(verdict, verdict_page, localization, samples, ratio)
    return with_verdict(page, judged, seconds_so_far())
