"""Batches that do not fit into the memory: planned anew, half as large, until one group is left."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from defectsynth_pipeline.appearance.batching import batched, in_smaller_batches
from defectsynth_pipeline.appearance.engines import Judged, Made
from defectsynth_pipeline.appearance.plan import plan_synthesis
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.certificate.judging import Generator
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import PromptOptions, SynthesisOptions
from defectsynth_pipeline.pipelines.synthesis.nodes import render_images
from defectsynth_pipeline.rendering import ImageSetJob, publish, render_rows
from refusals import refused
from small_models import FRAMING, SYNTHESIS, changed, engines_of

OPTIONS = changed(SYNTHESIS, count=24, batch_size=8)


@pytest.fixture(scope="module")
def plan(all_samples: pd.DataFrame, masks: ImageSet) -> pd.DataFrame:
    return plan_synthesis(all_samples, masks, engines_of(masks), OPTIONS, PromptOptions())


def largest(plan: pd.DataFrame) -> int:
    return int(plan["batch"].value_counts().max())


def accept(made: Made) -> Judged:
    return Judged(True, made.mask, {"verdict": "accepted", "reason": ""})


def test_half_as_large_and_nothing_else_changes(plan: pd.DataFrame) -> None:
    smaller = in_smaller_batches(plan, "CUDA out of memory")
    assert largest(smaller) <= largest(plan) // 2
    pd.testing.assert_frame_equal(smaller, batched(plan, largest(plan) // 2))
    pd.testing.assert_frame_equal(smaller.drop(columns="batch"), plan.drop(columns="batch"))


def test_a_group_is_not_parted(plan: pd.DataFrame) -> None:
    with refused("one group of images", "tried to allocate 2 GiB", remedy="synthesis.sff.group"):
        in_smaller_batches(batched(plan, 1), "tried to allocate 2 GiB\nmore")


def test_a_run_goes_on_in_batches_that_fit(
    all_samples: pd.DataFrame,
    masks: ImageSet,
    small: BaseModel,
    plan: pd.DataFrame,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fits = largest(plan) // 2

    def spread(job: ImageSetJob, rows: pd.DataFrame, work: Path) -> None:
        if largest(job.plan) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        render_rows(job, rows, work)

    def made(given: pd.DataFrame, options: SynthesisOptions, folder: Path) -> ImageSet:
        generator = Generator(small, FRAMING, accept, spread)
        finished = render_images(given, all_samples, masks, generator, folder / "w", options)
        return publish(finished, folder, version="v", name="set")

    caplog.set_level("WARNING")
    found = made(plan, OPTIONS, tmp_path / "one")
    (said,) = [message for message in caplog.messages if "memory" in message]
    assert f"batches of {largest(plan)}" in said
    assert f"synthesis.batch_size={fits}" in said
    straight = made(batched(plan, fits), changed(OPTIONS, batch_size=fits), tmp_path / "two")
    pd.testing.assert_frame_equal(found.manifest, straight.manifest)
