"""Nodes of the synthesis stage."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from defectsynth_pipeline.corpora.split import assert_no_test
from defectsynth_pipeline.fingerprints import code_fingerprint, fingerprint
from defectsynth_pipeline.imagesets import ImageSet, ImageSetJob
from defectsynth_pipeline.options import FramingOptions, PromptOptions, SynthesisOptions

# Rooms whose code decides what is made here: a change elsewhere restarts nothing.
ROOMS = ("imaging", "corpora", "base_model", "shape", "appearance")


def plan_images(
    samples: pd.DataFrame, masks: ImageSet, options: SynthesisOptions, prompts: PromptOptions
) -> pd.DataFrame:
    """Draw all randomness of every image, before any is rendered."""
    from defectsynth_pipeline.appearance.plan import plan_synthesis

    return plan_synthesis(samples, masks, options, prompts)


def attach_controlnet(base_model: Any, controlnet: Any) -> Any:
    """The base model with the fine-tuned networks in place."""
    return controlnet.attach(base_model)


def render_images(
    plan: pd.DataFrame,
    samples: pd.DataFrame,
    masks: ImageSet,
    generator: Any,
    options: SynthesisOptions,
    framing: FramingOptions,
) -> ImageSetJob:
    """Hand over the rendering of the plan; the dataset carries it out and publishes it whole."""
    from defectsynth_pipeline.appearance.compose import faintest_visible
    from defectsynth_pipeline.appearance.render import render_plan

    used = samples[samples["sample_id"].isin({*plan["background"], *plan["reference"]})]
    assert_no_test(samples, used["sha256"], "the synthesis plan")
    render = partial(
        render_plan,
        plan=plan,
        samples=samples,
        masks=masks,
        base=generator,
        options=options,
        framing=framing,
        faintest=faintest_visible(samples),
    )
    # The masks' content, not their version: a run repeated after a kill makes a new version.
    key = fingerprint(
        plan, options, framing, generator.fingerprint, masks.manifest, code_fingerprint(*ROOMS)
    )
    return ImageSetJob(
        fingerprint=key, plan=plan.assign(code=code_fingerprint(*ROOMS)), render=render
    )


def summarise_images(images: ImageSet) -> pd.DataFrame:
    """Return, per defect type: images made, share visible, median contrast, overlap, leakage."""
    groups = images.manifest.assign(seen=images.manifest["verdict"] == "visible").groupby(
        ["category", "defect_type"], sort=True
    )
    return groups.agg(
        images=("image_id", "size"),
        visible_share=("seen", "mean"),
        median_contrast=("contrast", "median"),
        mean_overlap=("overlap", "mean"),
        pixels_outside_collar=("pixels_outside_collar", "sum"),
    ).reset_index()
