"""The whole way of env sd15 on random weights of SD 1.5's component classes and settings."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from defectsynth_pipeline.appearance.adaptation import FinetunedModel
from defectsynth_pipeline.appearance.crops import make_crops
from defectsynth_pipeline.appearance.engines import Judged, Made
from defectsynth_pipeline.appearance.plan import plan_synthesis
from defectsynth_pipeline.appearance.render import render_plan
from defectsynth_pipeline.base_model.loading import BaseModel, load_base_model
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import FramingOptions, PromptOptions
from small_models import SYNTHESIS, TRAINING, adapted, changed, engines_of

Check = Callable[..., None]
PROMPTS = PromptOptions()
GUIDED = changed(SYNTHESIS, count=2, guidance=5.0)


def adapt_base(
    base: BaseModel, samples: pd.DataFrame, folder: Path, adapt: str, framing: FramingOptions
) -> FinetunedModel:
    """Fine-tuned, saved and loaded."""
    options = changed(TRAINING, adapt=adapt, steps=3, gradient_accumulation=2, crops_per_sample=1)
    crops = make_crops(samples, base, options, framing, PROMPTS)
    model, history = adapted(base, crops, options, folder)
    assert np.isfinite(history["train_loss"]).all()
    model.save(folder / "model")
    return FinetunedModel.load(folder / "model")


@pytest.fixture(scope="module")
def check(samples: pd.DataFrame, plates: ImageSet) -> Check:
    """Render two images and look at them."""

    def accept(made: Made) -> Judged:
        return Judged(True, made.mask, {"verdict": "accepted"})

    def rendered(base: BaseModel, framing: FramingOptions, **changes: object) -> None:
        options = changed(GUIDED, **changes)
        plan = plan_synthesis(samples, plates, engines_of(plates), options, PROMPTS)
        data = {"samples": samples, "masks": plates, "base": base, "judge": accept}
        items = list(render_plan(plan, plan, **data, options=options, framing=framing))
        assert len(items) == 2
        for item in items:
            assert item.arrays["image"].shape == (64, 80, 3)
            assert item.record["pixels_outside_collar"] == 0
            assert np.isfinite(item.record["contrast"])

    return rendered


@pytest.mark.parametrize(
    ("adapt", "framing"), [("frozen", "roi"), ("joint", "full"), ("lora", "roi")]
)
def test_from_real_defects_to_images(
    sd15: BaseModel, samples: pd.DataFrame, tmp_path: Path, adapt: str, framing: str, check: Check
) -> None:
    frame = FramingOptions(mode=framing)
    model = adapt_base(sd15, samples, tmp_path, adapt, frame)
    assert list(model.controlnet.config.conditioning_embedding_out_channels) == [16, 32, 96, 256]
    base = model.attach(sd15)
    assert sd15.controlnet is None
    for mode in ("delta", "feather", "exemplar"):
        check(base, frame, compose={"mode": mode}, sae={"weights": "eq7"})


def test_other_resolutions_than_the_models_own(
    sd15: BaseModel, samples: pd.DataFrame, tmp_path: Path, check: Check
) -> None:
    frame = FramingOptions(resolution=128, minimum=48)
    model = adapt_base(sd15, samples, tmp_path, "frozen", frame)
    check(model.attach(sd15), frame)


@pytest.mark.parametrize("adapt", ["joint", "lora"])
def test_half_precision_as_on_a_gpu(
    sd15_folder: Path, samples: pd.DataFrame, tmp_path: Path, adapt: str, check: Check
) -> None:
    base = load_base_model(sd15_folder, device="cpu", dtype="float16")
    frame = FramingOptions()
    guided = adapt_base(base, samples, tmp_path, adapt, frame).attach(base)
    assert {p.dtype for p in guided.unet.parameters()} == {torch.float16}
    assert guided.controlnet is not None
    assert guided.controlnet.dtype == torch.float16
    check(guided, frame)


def test_bfloat16_training(sd15: BaseModel, samples: pd.DataFrame, tmp_path: Path) -> None:
    options = changed(TRAINING, steps=2, mixed_precision="bf16", adapt="lora")
    crops = make_crops(samples, sd15, options, FramingOptions(), PROMPTS)
    model, history = adapted(sd15, crops, options, tmp_path)
    assert np.isfinite(history["train_loss"]).all()
    assert {p.dtype for p in model.controlnet.parameters()} == {torch.float32}


def test_fine_tuning_the_real_architecture_fits_on_a_card_of_24_gb(repository: Path) -> None:
    found = runpy.run_path(str(repository / "benchmarks" / "memory.py"))["plan"]()
    fixed = found["fixed"]
    assert fixed["unet"] == pytest.approx(2 * 0.8595, rel=0.01)  # SD 1.5 has 860 M parameters
    assert fixed["controlnet"] == pytest.approx(4 * 0.3613, rel=0.01)
    ways = found["activations"][str(found["batch_size"])]
    assert ways["checkpointed"] < 0.25 * ways["whole"]  # with the unit computed anew
    assert found["total"] < 12
