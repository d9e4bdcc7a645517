"""Loss and targets against their formulas, checkpoints that survive a kill."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from diffusers import DDIMScheduler
from torch import nn

from defectsynth_pipeline.base_model.denoising import denoise, diffusion_target, masked_mse
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.compact.networks import build_scheduler
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.resumable import Progress, learning_rate, load_checkpoint, save_checkpoint

DRAW = torch.Generator().manual_seed(0)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=DRAW)


def test_weight_one_is_the_plain_mean_squared_error() -> None:
    prediction, target = random(3, 4, 8, 8), random(3, 4, 8, 8)
    masks = (random(3, 1, 32, 32) > 0).float()
    plain = nn.functional.mse_loss(prediction, target)
    torch.testing.assert_close(masked_mse(prediction, target, masks, 1.0), plain)


def test_masked_cells_count_as_often_as_told() -> None:
    prediction, target = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    target[0, :, 0, 0] = 3.0  # squared error 9 in the one masked cell
    target[0, 0, 1, 1] = 2.0  # mean over channels 2 in an unmasked one
    masks = torch.zeros(1, 1, 8, 8)
    masks[0, 0, 1, 2] = 0.2  # one pixel, a fifth covered, makes its cell count
    masks[0, 0, 6, 6] = 0.05
    loss = masked_mse(prediction, target, masks, 5.0)
    assert loss.item() == pytest.approx((5 * 9 + 2) / (5 + 3))


def test_epsilon_is_the_noise_itself() -> None:
    latents, noise = random(2, 4, 3, 3), random(2, 4, 3, 3)
    steps = torch.tensor([5, 900])
    assert torch.equal(diffusion_target(DDIMScheduler(), latents, noise, steps), noise)


def test_velocity_follows_its_formula() -> None:
    scheduler = build_scheduler()
    latents, noise, steps = random(3, 4, 3, 3), random(3, 4, 3, 3), torch.tensor([0, 500, 999])
    share = scheduler.alphas_cumprod[steps].view(-1, 1, 1, 1)
    expected = share.sqrt() * noise - (1 - share).sqrt() * latents
    torch.testing.assert_close(diffusion_target(scheduler, latents, noise, steps), expected)
    # Zero terminal SNR: at the last level only the image is left to be told.
    torch.testing.assert_close(expected[2], -latents[2])


def test_the_controlnet_steers_the_unet(small: BaseModel) -> None:
    assert small.controlnet is not None
    noisy, steps, text = random(2, 8, 8, 8), torch.tensor([1, 900]), small.embed(["a", "b"])
    empty, full = torch.zeros(2, 3, 32, 32), torch.ones(2, 3, 32, 32)
    with torch.no_grad():
        one, other = (
            denoise(small.unet, small.controlnet, noisy, steps, text, control)
            for control in (empty, full)
        )
    assert one.shape == noisy.shape
    assert (one - other).abs().max() > 1e-3


def test_checkpoints_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "run.pt"
    assert load_checkpoint(path) is None
    save_checkpoint(path, {"step": 1, "weights": {"a": torch.ones(2)}})

    def torn(state: object, target: BinaryIO) -> None:
        target.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", torn)
        with pytest.raises(InputError, match="No space") as caught:
            save_checkpoint(path, {"step": 2})
    assert "free some space" in caught.value.remedy
    assert list(path.parent.iterdir()) == [path]
    state = load_checkpoint(path)
    assert state is not None
    assert state["step"] == 1
    assert torch.equal(state["weights"]["a"], torch.ones(2))


@pytest.mark.parametrize("harm", ["half", "empty", "garbage", "another program's"])
def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"step": 1, "weights": torch.ones(999)})
    whole = path.read_bytes()
    if harm == "another program's":
        torch.save({"model": Path()}, path)
    else:
        path.write_bytes({"half": whole[:999], "empty": b"", "garbage": b"x" * 99}[harm])
    with pytest.raises(InputError, match=r"run\.pt") as caught:
        load_checkpoint(path)
    assert f"{path.stat().st_size} bytes" in str(caught.value)
    assert "delete the file" in caught.value.remedy
    assert "weights_only" not in str(caught.value)


def test_progress_is_told_sparingly(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress("training", total=10)
    for step in range(1, 11):
        progress(step, loss=0.5)
    assert caplog.messages == ["training 10/10, loss 0.5000"]


def test_the_rate_rises_then_falls_as_a_cosine_to_its_floor() -> None:
    rates = [learning_rate(2.0, step, 100, warm_up=4, floor=0.1) for step in (0, 3, 50, 100)]
    assert rates[0] == pytest.approx(0.5)
    assert rates[1] == pytest.approx(2.0, rel=0.01)
    assert rates[2] == pytest.approx(2.0 * 0.55)
    assert rates[3] == pytest.approx(2.0 * 0.1)
