"""The node that measures generated images."""

from __future__ import annotations

from typing import Any

import pandas as pd

from defectsynth_pipeline.options import QualityOptions


def measure_images(bank: Any, options: QualityOptions) -> pd.DataFrame:
    """Every measure of every arm and type, and of untouched backgrounds."""
    from defectsynth_pipeline.arms.shown import UNTOUCHED, arm_source, untouched_source
    from defectsynth_pipeline.features.extractors import choose_extractor
    from defectsynth_pipeline.verdict.quality import measure_quality

    sources = {name: arm_source(bank, name) for name in options.arms}
    sources[UNTOUCHED] = untouched_source(bank)
    extractor = choose_extractor(options.inception, options.lpips, options.lpips_network)
    return measure_quality(bank.samples, sources, extractor, options)


def check_report(page: str, judged: str, bank: Any) -> str:
    """The report of the images that are to be measured, with the verdict where there is one."""
    from defectsynth_pipeline.report.measured import check_page
    from defectsynth_pipeline.report.page import extended

    check_page(page, bank.synthetic.root.parent.name)
    return extended(page, judged)


def report_quality(page: str, quality: pd.DataFrame) -> str:
    """The same with the measures in it."""
    from defectsynth_pipeline.report.measured import with_quality

    return with_quality(page, quality)
