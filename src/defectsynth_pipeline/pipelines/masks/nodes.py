"""Nodes of the mask stage."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from defectsynth_pipeline.corpora.split import assert_no_test
from defectsynth_pipeline.fingerprints import code_fingerprint, fingerprint
from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.provenance import named_plan, source_licences
from defectsynth_pipeline.rendering import FinishedSet, ImageSetJob, render_set
from defectsynth_pipeline.review.decisions import Reviewed
from defectsynth_pipeline.review.lessons import without_refused_parents

# Rooms whose code decides what is made here: a change elsewhere restarts nothing.
ROOMS = ("imaging", "corpora", "base_model", "shape")


def measure_area_ratios(samples: pd.DataFrame, options: MaskOptions) -> pd.DataFrame:
    """Measure the base masks and choose image or latent space for every defect type."""
    from defectsynth_pipeline.shape.area import area_ratio_table

    return area_ratio_table(samples, options)


def generate_masks(
    samples: pd.DataFrame,
    area_ratios: pd.DataFrame,
    base_model: Any,
    work: Path,
    reviewed: Reviewed | None,
    options: MaskOptions,
) -> FinishedSet:
    """Plan all masks and render what is missing of them; the dataset publishes the set whole."""
    from defectsynth_pipeline.shape.plan import plan_masks
    from defectsynth_pipeline.shape.render import render_masks

    base = without_refused_parents(samples[samples["split"] == "base"], reviewed)
    plan = plan_masks(base, area_ratios, options)
    parents = {parent for row in plan["parents"] for parent in row.split("|")}
    used = samples[samples["sample_id"].isin(parents)]
    assert_no_test(samples, used["sha256"], "the mask parents")
    latent = (plan["space"] == "latent").any()
    key = fingerprint(
        plan,
        base.drop(columns="root"),  # where they lie changes nothing
        options.model_dump(exclude={"latent": {"batch_size"}}),
        base_model.fingerprint if latent else None,
        code_fingerprint(*ROOMS),
    )
    job = ImageSetJob(
        fingerprint=key,
        plan=named_plan(plan, key),
        render=partial(render_masks, samples=base, options=options, base_model=base_model),
        execution=options.latent.batch_size,
        licences=source_licences(samples),
    )
    return render_set(job, work)
