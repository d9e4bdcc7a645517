"""Nodes of the mask stage."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from defectsynth_pipeline.corpora.split import assert_no_test
from defectsynth_pipeline.fingerprints import code_fingerprint, fingerprint
from defectsynth_pipeline.imagesets import ImageSetJob
from defectsynth_pipeline.options import MaskOptions

# Rooms whose code decides what is made here: a change elsewhere restarts nothing.
ROOMS = ("imaging", "corpora", "base_model", "shape")


def measure_area_ratios(samples: pd.DataFrame, options: MaskOptions) -> pd.DataFrame:
    """Measure the base masks and choose image or latent space for every defect type."""
    from defectsynth_pipeline.shape.area import area_ratio_table

    return area_ratio_table(samples, options)


def generate_masks(
    samples: pd.DataFrame, area_ratios: pd.DataFrame, base_model: Any, options: MaskOptions
) -> ImageSetJob:
    """Plan all masks and hand over their rendering; the dataset publishes the set whole."""
    from defectsynth_pipeline.shape.plan import plan_masks
    from defectsynth_pipeline.shape.render import render_masks

    base = samples[samples["split"] == "base"]
    plan = plan_masks(base, area_ratios, options)
    parents = {parent for row in plan["parents"] for parent in row.split("|")}
    used = samples[samples["sample_id"].isin(parents)]
    assert_no_test(samples, used["sha256"], "the mask parents")
    latent = (plan["space"] == "latent").any()
    key = fingerprint(
        plan, base, options, base_model.fingerprint if latent else None, code_fingerprint(*ROOMS)
    )
    render = partial(render_masks, samples=base, options=options, base_model=base_model)
    return ImageSetJob(fingerprint=key, plan=plan, render=render)
