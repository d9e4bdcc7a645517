from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import DDIMScheduler

from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.options import LatentMaskOptions
from defectsynth_pipeline.shape.latent_space import (
    cut,
    denoiser,
    interpolate_latents,
    invert,
    sample,
    slerp,
)
from shape.builders import disc
from small_models import pictures

OPTIONS = LatentMaskOptions(steps=4, batch_size=3)


def test_slerp_follows_the_arc() -> None:
    first, second = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    torch.testing.assert_close(slerp(first, second, 0.5), torch.tensor([[2.0, 2.0]]) / 2**0.5)
    for alpha in (0.1, 0.4, 0.8):
        assert slerp(first, second, alpha).norm() == pytest.approx(2, abs=1e-6)
    torch.testing.assert_close(slerp(first, second, 0.0), first)
    torch.testing.assert_close(slerp(first, second, 1.0), second)
    torch.testing.assert_close(slerp(first, first, 0.3), first)


@pytest.mark.parametrize("steps", [2, 7, 50])
def test_inversion_is_exact_where_the_noise_does_not_depend_on_the_latent(steps: int) -> None:
    """With epsilon(x, t) = c every DDIM step is linear in x and has an exact inverse."""
    constant = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    scheduler = DDIMScheduler(prediction_type="epsilon")
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    noise = invert(latents, lambda values, _: constant.expand_as(values), scheduler, steps)
    end = float(scheduler.alphas_cumprod[-1])
    expected = end**0.5 * latents + (1 - end) ** 0.5 * constant
    torch.testing.assert_close(noise, expected, atol=1e-4, rtol=1e-4)
    back = sample(noise, lambda values, _: constant.expand_as(values), scheduler, steps)
    torch.testing.assert_close(back, latents, atol=2e-3, rtol=1e-3)


def test_sampling_with_the_true_score_of_a_gaussian_gives_that_gaussian() -> None:
    """For data N(0, s^2) the best prediction is known for both types; DDIM must map to it."""
    deviation = 0.5
    for kind in ("epsilon", "v_prediction"):
        scheduler = DDIMScheduler(prediction_type=kind, rescale_betas_zero_snr=kind[0] == "v")
        kept = scheduler.alphas_cumprod

        def denoise(values: torch.Tensor, step: int, kept=kept, kind=kind) -> torch.Tensor:
            signal, noise = kept[step] ** 0.5, (1 - kept[step]) ** 0.5
            total = kept[step] * deviation**2 + 1 - kept[step]
            epsilon = noise * values / total
            clean = signal * deviation**2 * values / total
            return epsilon if kind == "epsilon" else signal * epsilon - noise * clean

        start = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
        end = sample(start, denoise, scheduler, 200)
        assert float(end.std() / start.std()) == pytest.approx(deviation, rel=0.05)
        back = invert(end, denoise, scheduler, 200)
        torch.testing.assert_close(back, start, atol=0.15, rtol=0.1)


def test_noise_prediction_stays_finite_at_zero_terminal_snr() -> None:
    scheduler = DDIMScheduler(prediction_type="epsilon", rescale_betas_zero_snr=True)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert sample(noise, lambda values, _: 0.5 * values, scheduler, 4).isfinite().all()


def test_inversion_and_sampling_of_a_real_network_are_near_identity(
    smooth_model: BaseModel,
) -> None:
    latents = smooth_model.encode(pictures(smooth_model, 1))
    denoise = denoiser(smooth_model, OPTIONS)
    errors = []
    for steps in (5, 50):
        noise = invert(latents, denoise, smooth_model.scheduler, steps)
        back = sample(noise, denoise, smooth_model.scheduler, steps)
        errors.append(float((back - latents).norm() / latents.norm()))
    assert errors[1] < 0.2
    assert errors[1] < errors[0]


def test_a_mask_does_not_depend_on_its_batch(smooth_model: BaseModel) -> None:
    masks = {"a": disc(40, 18, 20, 12), "b": disc(40, 24, 18, 9)}
    rows = pd.DataFrame({"image_id": list("tuvwxyz"), "parents": "a|b"})
    rows["alpha"] = np.linspace(0.1, 0.9, 7)
    found = interpolate_latents(rows, masks, (40, 30), smooth_model, OPTIONS)
    assert list(found) == rows["image_id"].tolist()
    assert all(mask.shape == (40, 30) and mask.dtype == bool for mask in found.values())
    shuffled = interpolate_latents(rows[::-1][2:5], masks, (40, 30), smooth_model, OPTIONS)
    for image_id, mask in shuffled.items():
        assert (mask == found[image_id]).all()


def test_rows_of_one_pair_and_alpha_are_sampled_once(
    smooth_model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled: list[int] = []

    def counted(noise: torch.Tensor, *given: Any) -> torch.Tensor:
        sampled.append(len(noise))
        return sample(noise, *given)

    monkeypatch.setattr("defectsynth_pipeline.shape.latent_space.sample", counted)
    masks = {"a": disc(40, 18, 20, 12), "b": disc(40, 24, 18, 9)}
    count = 3 * OPTIONS.batch_size
    rows = pd.DataFrame({"image_id": [str(n) for n in range(count)], "parents": "a|b"})
    rows["alpha"] = [0.3, 0.7] * (count // 2) + [0.3] * (count % 2)
    found = interpolate_latents(rows, masks, (40, 30), smooth_model, OPTIONS)
    assert len(sampled) == 1
    assert list(found) == rows["image_id"].tolist()
    assert (found["0"] == found["2"]).all()
    assert (found["0"] != found["1"]).any()


@pytest.mark.parametrize("contrast", [1.0, 0.3])
def test_the_cut_adapts_to_the_contrast(contrast: float) -> None:
    mask = disc(40, 20, 20, 8)
    assert (cut(0.2 + contrast * mask, 0.5) == mask).all()


def test_no_contrast_gives_an_empty_mask() -> None:
    assert not cut(0.4 + 0.1 * disc(40, 20, 20, 8), 0.5).any()
