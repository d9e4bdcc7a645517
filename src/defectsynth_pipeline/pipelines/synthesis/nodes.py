"""Nodes of the synthesis stage."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from defectsynth_pipeline.corpora.split import assert_no_test
from defectsynth_pipeline.corpora.zones import zone_hashes
from defectsynth_pipeline.fingerprints import code_fingerprint, fingerprint
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import (
    ExecutionOptions,
    FramingOptions,
    MaskOptions,
    PromptOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.provenance import named_plan, other_references, source_licences
from defectsynth_pipeline.rendering import FinishedSet, ImageSetJob, render_set
from defectsynth_pipeline.review.decisions import Reviewed
from defectsynth_pipeline.review.lessons import without_refused_engines, without_refused_parents
from defectsynth_pipeline.shards import spread_over
from defectsynth_pipeline.workers import crew

# Rooms whose code decides what is made here: a change elsewhere restarts nothing.
ROOMS = ("imaging", "corpora", "features", "base_model", "shape", "appearance", "certificate")

_LIBRARIES = ("diffusers", "numpy", "pillow", "scipy", "torch", "transformers")


def draw_first_look(
    samples: pd.DataFrame,
    reviewed: Reviewed | None,
    masks: MaskOptions,
    options: SynthesisOptions,
) -> Figure:
    """Drafts of every type, before anything is trained."""
    from defectsynth_pipeline.appearance.first_look import first_look
    from defectsynth_pipeline.figures.strips import draw_drafts

    base = samples["split"] == "base"
    kept = pd.concat([samples[~base], without_refused_parents(samples[base], reviewed)])
    return draw_drafts(samples, first_look(kept, masks, options))


def fit_certificate(
    samples: pd.DataFrame,
    base_model: Any,
    options: SynthesisOptions,
    execution: ExecutionOptions,
) -> tuple[Any, pd.DataFrame]:
    """Learn from real base defects and from nulls what is published; test that it can refuse."""
    from defectsynth_pipeline.certificate import certificate
    from defectsynth_pipeline.certificate.judging import through_autoencoder

    with crew(execution) as each:
        found = certificate.fit_certificate(
            samples,
            nulls=options.nulls,
            round_trip=partial(through_autoencoder, base_model),
            seed=options.seed,
            each=each,
        )
    return found, found.test


def choose_engines(
    samples: pd.DataFrame,
    masks: ImageSet,
    certificate: Any,
    reviewed: Reviewed | None,
    options: SynthesisOptions,
    execution: ExecutionOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Share every type's images between the engines, by what a few of each are worth."""
    from defectsynth_pipeline.certificate.judging import judge_with
    from defectsynth_pipeline.inspection import engine_choice

    judge = judge_with(certificate)
    with crew(execution) as each:
        choice, trials = engine_choice.choose_engines(samples, masks, options, judge, each)
    return without_refused_engines(choice, reviewed), trials


def plan_images(
    samples: pd.DataFrame,
    masks: ImageSet,
    engines: pd.DataFrame,
    options: SynthesisOptions,
    prompts: PromptOptions,
) -> pd.DataFrame:
    """Draw all randomness of every image, before any is rendered."""
    from defectsynth_pipeline.appearance.plan import plan_synthesis

    return plan_synthesis(samples, masks, engines, options, prompts)


def make_generator(
    base_model: Any,
    controlnet: Any,
    certificate: Any,
    framing: FramingOptions,
    execution: ExecutionOptions,
) -> Any:
    """The base model with the fine-tuned networks in place, what judges its images, who renders."""
    from defectsynth_pipeline.certificate.judging import Generator, judge_with

    base, judge = controlnet.attach(base_model), judge_with(certificate)
    return Generator(base, framing, judge, spread_over(execution))


def render_images(
    plan: pd.DataFrame,
    samples: pd.DataFrame,
    masks: ImageSet,
    generator: Any,
    work: Path,
    options: SynthesisOptions,
) -> FinishedSet:
    """Render what is missing of the plan; the dataset publishes the set whole.

    Where the memory does not suffice, all of it is planned in smaller batches and begun anew.
    """
    import torch

    from defectsynth_pipeline.appearance.batching import in_smaller_batches

    others = {name for row in plan.to_dict("records") for name in other_references(row)}
    drawn = {*plan["background"], *plan["reference"], *others}
    used = samples[samples["sample_id"].isin(drawn)]
    assert_no_test(samples, used["sha256"], "the synthesis plan")
    while True:
        job = _job_of(plan, samples, masks, generator, options)
        try:
            return render_set(job, work, generator.spread)
        except torch.OutOfMemoryError as error:
            plan = in_smaller_batches(plan, str(error))
            torch.cuda.empty_cache()


def _job_of(
    plan: pd.DataFrame,
    samples: pd.DataFrame,
    masks: ImageSet,
    generator: Any,
    options: SynthesisOptions,
) -> ImageSetJob:
    from defectsynth_pipeline.appearance.render import render_plan

    code = code_fingerprint(*ROOMS)
    key = set_fingerprint(
        plan, options, generator.framing, generator.base.fingerprint, masks, samples, code
    )
    named = named_plan(plan, key).assign(code=code, made_with=made_with(generator.base))
    render = partial(
        render_plan,
        plan=named,
        samples=samples,
        masks=masks,
        base=generator.base,
        options=options,
        framing=generator.framing,
        judge=generator.judge,
    )
    return ImageSetJob(
        fingerprint=key,
        plan=named,
        render=render,
        licences=source_licences(samples, masks.manifest),
    )


def set_fingerprint(
    plan: pd.DataFrame,
    options: SynthesisOptions,
    framing: FramingOptions,
    model: str,
    masks: ImageSet,
    samples: pd.DataFrame,
    code: str,
) -> str:
    """Return the fingerprint of all that decides the pixels of a set; `model` is the model's."""
    # What the certificate was fitted on, not its numbers: their last bits are the machine's.
    seen = samples[samples["split"].isin(["base", "normal"])]
    told = [c for c in ("sample_id", "defect_type", "split", "sha256", "licence") if c in seen]
    return fingerprint(
        plan,
        options.model_dump(exclude={"batch_size"}),
        framing,
        model,
        # The masks' content, not their version: a run repeated after a kill makes a new version.
        masks.manifest,
        seen[told].reset_index(drop=True),
        zone_hashes(seen),
        code,
    )


def made_with(base: Any) -> str:
    """Device, and versions of the libraries that the last bits of a pixel depend on."""
    versions = (f"{name} {version(name)}" for name in _LIBRARIES)
    return ", ".join([f"{base.device.type} {base.dtype}".replace("torch.", ""), *versions])


def summarise_images(images: ImageSet) -> pd.DataFrame:
    """Return, per defect type: images published, verdicts, engines, attempts, contrast, leakage."""
    every = pd.concat([images.manifest, images.rejected])
    verdicts = {name: every["verdict"] == name for name in ("accepted", "relabelled", "rejected")}
    pasted, first = every["engine"] == "paste", every["attempts"] == 1
    told = {"pasted": pasted, "first_attempts": first & ~verdicts["rejected"]}
    groups = every.assign(published=~verdicts["rejected"], **verdicts, **told).groupby(
        ["category", "defect_type"], sort=True
    )
    return groups.agg(
        images=("published", "sum"),
        **{name: (name, "sum") for name in verdicts},
        first_attempts=("first_attempts", "mean"),
        mean_attempts=("attempts", "mean"),
        pasted=("pasted", "mean"),
        network=("network", "mean"),
        median_contrast=("contrast", "median"),
        mean_overlap=("overlap", "mean"),
        pixels_outside_collar=("pixels_outside_collar", "sum"),
    ).reset_index()
