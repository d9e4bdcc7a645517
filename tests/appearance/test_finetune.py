"""Fine-tuning: what learns, what stays, and that a killed run goes on where it was."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from defectsynth_pipeline.appearance.adaptation import FinetunedModel
from defectsynth_pipeline.appearance.crops import Crops
from defectsynth_pipeline.appearance.finetune import _draw, _Trainer, build_denoiser, finetune
from defectsynth_pipeline.base_model.denoising import build_controlnet
from defectsynth_pipeline.base_model.loading import BaseModel, load_base_model
from defectsynth_pipeline.compact import networks as compact
from defectsynth_pipeline.options import FinetuneOptions
from defectsynth_pipeline.resumable import load_checkpoint
from refusals import refused
from small_models import TRAINING, changed

Train = Callable[..., tuple[FinetunedModel, pd.DataFrame]]
COLUMNS = ["step", "train_loss", "validation_loss", "learning_rate"]


class Killed(Exception):
    """Stands for the kill of a run."""


@pytest.fixture
def train(small: BaseModel, crops: Crops, tmp_path: Path) -> Train:
    """Fine-tune; checkpoints go to a folder in `tmp_path`, metrics to a list if one is given."""

    def call(
        options: FinetuneOptions = TRAINING,
        folder: str = "",
        *,
        kill_at: int | None = None,
        crops: Crops = crops,
        base: BaseModel = small,
        metrics: list[tuple[int, dict[str, float]]] | None = None,
    ) -> tuple[FinetunedModel, pd.DataFrame]:
        def on_metrics(step: int, values: dict[str, float]) -> None:
            if step == kill_at:
                raise Killed
            if metrics is not None:
                metrics.append((step, values))

        place = tmp_path / folder
        return finetune(base, crops, options, key="k", checkpoints=place, on_metrics=on_metrics)

    return call


def saved(folder: Path) -> dict[str, Any]:
    """What the checkpoint of a run holds."""
    state = load_checkpoint(folder / "k.pt")
    assert state is not None
    return state


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_gradient_checkpointing_changes_memory_and_nothing_else(train: Train) -> None:
    plain, history = train(folder="plain")
    model, again = train(changed(TRAINING, gradient_checkpointing=True), "checkpointed")
    np.testing.assert_allclose(again["train_loss"], history["train_loss"], rtol=1e-4)
    for name, value in weights(plain.controlnet).items():
        torch.testing.assert_close(weights(model.controlnet)[name], value, rtol=1e-3, atol=1e-5)
    assert not model.controlnet.is_gradient_checkpointing


def test_a_frozen_network_stays_in_half_precision_where_training_is_mixed(
    small: BaseModel, train: Train
) -> None:
    half = replace(small, unet=copy.deepcopy(small.unet).to(torch.bfloat16), dtype=torch.bfloat16)
    options = changed(TRAINING, adapt="frozen", mixed_precision="bf16")
    denoiser = build_denoiser(half, options, mixed=True)
    assert {p.dtype for p in denoiser.unet.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in denoiser.controlnet.parameters()} == {torch.float32}
    joint = build_denoiser(half, changed(options, adapt="joint"), mixed=True)
    assert {p.dtype for p in joint.parameters()} == {torch.float32}
    _, history = train(options, base=half)
    assert np.isfinite(history["train_loss"]).all()


@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_noise_levels_are_those_that_are_sampled(
    train: Train, small: BaseModel, monkeypatch: pytest.MonkeyPatch, strength: float
) -> None:
    seen: list[torch.Tensor] = []
    add_noise = type(small.scheduler).add_noise

    def noted(self: Any, latents: Any, noise: Any, steps: torch.Tensor) -> torch.Tensor:
        seen.append(steps)
        return add_noise(self, latents, noise, steps)

    monkeypatch.setattr(type(small.scheduler), "add_noise", noted)
    train(changed(TRAINING, strength=strength))
    levels = torch.cat([steps.flatten() for steps in seen])
    limit = strength * small.scheduler.config.num_train_timesteps
    assert 0.5 * limit < levels.max() < limit


@pytest.mark.parametrize("adapt", ["frozen", "joint", "lora"])
def test_what_learns_and_what_stays(train: Train, small: BaseModel, adapt: str) -> None:
    unet, controlnet = weights(small.unet), weights(small.controlnet)
    model, _ = train(changed(TRAINING, adapt=adapt))
    assert equal(weights(small.unet), unet)
    assert equal(weights(small.controlnet), controlnet)
    assert not equal(weights(model.controlnet), controlnet)
    assert (model.unet is not None) == (adapt == "joint")
    assert (model.lora is not None) == (adapt == "lora")
    if model.unet is not None:
        assert not equal(weights(model.unet), unet)
    if model.lora is not None:
        assert any(values.any() for name, values in model.lora.items() if "lora_B" in name)
    assert not any(p.requires_grad for p in model.controlnet.parameters())


def test_frozen_hands_no_unet_weight_to_the_optimizer(small: BaseModel) -> None:
    names = build_denoiser(small, changed(TRAINING, adapt="frozen")).trained()
    assert names
    assert all(name.startswith("controlnet.") for name in names)
    lora = build_denoiser(small, changed(TRAINING, adapt="lora")).trained()
    assert {n for n in lora if n.startswith("unet.")} == {n for n in lora if "lora_" in n}
    assert len(lora) > len(names)


def test_a_half_precision_base_stays_half(sd15_folder: Path) -> None:
    base = load_base_model(sd15_folder, device="cpu", dtype="float16")
    denoiser = build_denoiser(base, changed(TRAINING, adapt="lora"))
    assert {p.dtype for p in denoiser.parameters()} == {torch.float32}
    assert base.unet.dtype == torch.float16


def test_a_new_controlnet_starts_by_changing_nothing(sd15: BaseModel) -> None:
    denoiser = build_denoiser(sd15, TRAINING)
    noisy, steps = torch.randn(1, 4, 8, 8), torch.tensor([500])
    text, mask = sd15.embed(["a"]), torch.ones(1, 1, 64, 64)
    with torch.no_grad():
        guided = denoiser(noisy, steps, text, mask)
        plain = sd15.unet(noisy, steps, encoder_hidden_states=text).sample
    torch.testing.assert_close(guided, plain)


@pytest.mark.parametrize("adapt", ["frozen", "joint", "lora"])
def test_a_killed_run_ends_as_the_straight_one(train: Train, tmp_path: Path, adapt: str) -> None:
    options = changed(TRAINING, adapt=adapt, validate_every=1, gradient_accumulation=2)
    straight, history = train(options, "straight")
    with pytest.raises(Killed):
        train(options, "killed", kill_at=5)
    assert saved(tmp_path / "killed")["step"] == 3
    resumed, again = train(options, "killed")
    pd.testing.assert_frame_equal(again, history, check_exact=True)
    assert equal(weights(resumed.controlnet), weights(straight.controlnet))
    if straight.unet is not None and resumed.unet is not None:
        assert equal(weights(resumed.unet), weights(straight.unet))
    if straight.lora is not None and resumed.lora is not None:
        assert equal(resumed.lora, straight.lora)


def test_a_finished_run_is_not_trained_again(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    model, history = train()
    monkeypatch.setattr(_Trainer, "take", lambda trainer: pytest.fail("a step was taken"))
    again, same = train()
    assert equal(weights(again.controlnet), weights(model.controlnet))
    pd.testing.assert_frame_equal(same, history)


def test_history_and_metrics(train: Train) -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    _, history = train(changed(TRAINING, steps=5), metrics=seen)
    assert list(history) == COLUMNS
    assert list(history["step"]) == [2, 4, 5]
    assert history.notna().all(axis=None)
    assert [step for step, _ in seen] == [2, 4, 5]
    assert seen[0][1]["finetune.validation_loss"] == history["validation_loss"][0]
    assert history["learning_rate"].max() <= TRAINING.learning_rate


def test_a_resumed_run_tells_its_metrics_from_the_first_on(train: Train) -> None:
    straight: list[tuple[int, dict[str, float]]] = []
    train(folder="straight", metrics=straight)
    with pytest.raises(Killed):
        train(folder="killed", kill_at=TRAINING.steps)
    seen: list[tuple[int, dict[str, float]]] = []
    train(folder="killed", metrics=seen)
    assert seen == straight
    assert len(seen) > 1


def test_nothing_held_out_keeps_the_last_weights(
    train: Train, crops: Crops, tmp_path: Path
) -> None:
    none = replace(crops, table=crops.table.assign(held_out=False))
    model, history = train(crops=none)
    assert history["validation_loss"].isna().all()
    assert model.meta["validation_loss"] is None
    name = "conv_in.weight"
    kept = saved(tmp_path)["weights"][f"controlnet.{name}"]
    assert torch.equal(weights(model.controlnet)[name], kept)


def test_it_stops_when_held_out_samples_gain_nothing_and_keeps_the_best(train: Train) -> None:
    wild = changed(
        TRAINING, steps=60, learning_rate=0.3, validate_every=1, patience=3, adapt="joint"
    )
    model, history = train(wild)
    assert len(history) < 60
    best = history["validation_loss"].idxmin()
    assert len(history) - 1 - best == 3
    assert model.meta["validation_loss"] == history["validation_loss"][best]
    assert model.meta["steps"] == len(history)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_loss_that_is_no_number_keeps_the_checkpoint(
    train: Train, crops: Crops, tmp_path: Path, accumulation: int
) -> None:
    options = changed(
        TRAINING, steps=40, checkpoint_every=1, gradient_accumulation=accumulation, patience=99
    )
    with pytest.raises(Killed):
        train(options, kill_at=2)
    before = saved(tmp_path)
    latents = crops.latents.clone()
    latents[np.flatnonzero(~crops.table["held_out"])[::2]] = math.nan
    with refused("not a number", str(tmp_path / "k.pt"), remedy="learning_rate"):
        train(options, crops=replace(crops, latents=latents))
    after = saved(tmp_path)
    assert after["step"] >= before["step"] == 1
    assert all(value.isfinite().all() for value in after["weights"].values())


def test_accumulated_batches_count_as_one_step(train: Train, tmp_path: Path) -> None:
    options = changed(TRAINING, steps=2)
    once, _ = train(options, "1")
    twice, history = train(changed(options, gradient_accumulation=2), "2")
    assert list(history["step"]) == [2]
    states = saved(tmp_path / "2")["optimizer"]["state"].values()
    assert {float(entry["step"]) for entry in states} == {2.0}
    assert not equal(weights(once.controlnet), weights(twice.controlnet))


def test_an_epoch_shows_each_trained_base_image_once(train: Train, crops: Crops) -> None:
    trained = crops.table[~crops.table["normal"] & ~crops.table["held_out"]]
    options = changed(TRAINING, steps=None, epochs=3, batch_size=2, normal_share=0.0)
    expected = 3 * -(-trained["sample_id"].nunique() // 2)
    assert options.optimizer_steps(trained["sample_id"].nunique()) == expected
    model, _ = train(changed(options, patience=99))
    assert model.meta["steps"] == expected
    assert TRAINING.optimizer_steps(5) == TRAINING.steps


def test_the_loss_falls_on_a_tiny_problem(train: Train, small: BaseModel) -> None:
    """The compact base's own components, untrained, on two latents they can learn by heart."""
    torch.manual_seed(0)
    unet = compact.build_unet()
    base = replace(small, unet=unet, controlnet=build_controlnet(unet))
    draw = torch.Generator().manual_seed(0)
    masks = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
    masks[0, 0, 20:40, 20:40] = 255
    table = pd.DataFrame({"sample_id": ["a", "b"], "defect_type": ["t/d", "t/good"]})
    table = table.assign(prompt=0, normal=[False, True], held_out=False)
    latents = torch.randn(2, 8, 1, 1, generator=draw).expand(2, 8, 16, 16).clone()
    crops = Crops(latents, masks, torch.randn(1, 77, 64, generator=draw), table)
    options = changed(
        TRAINING, steps=30, batch_size=2, learning_rate=3e-3, validate_every=2, mask_weight=3.0
    )
    _, history = train(options, crops=crops, base=base)
    losses = history["train_loss"].to_numpy()
    assert losses[-1] < 0.6 * losses[0]


def test_the_shares_of_a_batch(crops: Crops) -> None:
    rng = np.random.default_rng(0)
    drawn = np.concatenate([_draw(crops.table, TRAINING, rng) for _ in range(400)])
    table = crops.table.iloc[drawn]
    assert not table["held_out"].any()
    assert table["normal"].mean() == pytest.approx(TRAINING.normal_share, abs=0.05)
    defects = table[~table["normal"]]["defect_type"].value_counts(normalize=True)
    assert defects["plate/dent"] == pytest.approx(0.5, abs=0.07)
    none = changed(TRAINING, normal_share=0.0)
    assert not crops.table.iloc[_draw(crops.table, none, rng)]["normal"].any()
