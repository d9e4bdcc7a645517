"""Denoising: what stays, what seeds decide, and what each switch changes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from defectsynth_pipeline.appearance import sampler
from defectsynth_pipeline.appearance.sampler import (
    Regions,
    denoise_regions,
    draw_noise,
)
from defectsynth_pipeline.base_model.denoising import build_controlnet, latent_masks
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.options import SynthesisOptions
from small_models import SYNTHESIS, changed, pictures

PLAIN = changed(SYNTHESIS, steps=4, sae={"enabled": False})
SAE = changed(SYNTHESIS, steps=4, sae={"enabled": True, "weights": "eq7"})


@pytest.fixture
def regions(small: BaseModel) -> Regions:
    masks = torch.zeros(3, 1, 32, 32)
    masks[:, :, 8:20, 8:24] = 1
    masks[2, :, 8:20, 8:24] = 0
    masks[2, :, 3, 2:30] = 1  # a stroke thinner than a cell
    return regions_of(small, masks)


def regions_of(base: BaseModel, masks: torch.Tensor) -> Regions:
    """Other pictures as references, seeds from 5 on."""
    count = len(masks)
    return Regions(
        start=pictures(base, count),
        background=pictures(base, count),
        masks=masks,
        references=base.encode(pictures(base, count, seed=1)),
        text=base.embed(["a plate with dent"] * count),
        negative=base.embed(["a plate"] * count),
        seeds=list(range(5, 5 + count)),
    )


def inside(regions: Regions, latents: torch.Tensor, grow: int = 1) -> torch.Tensor:
    return latent_masks(regions.masks, latents.shape[-2:], grow=grow).bool().expand_as(latents)


@pytest.mark.parametrize("options", [PLAIN, SAE, changed(PLAIN, guidance=5.0, strength=0.5)])
def test_outside_the_grown_mask_is_the_encoded_background(
    small: BaseModel, regions: Regions, options: SynthesisOptions
) -> None:
    latents = denoise_regions(small, regions, options)
    known = small.encode(regions.background)
    room = inside(regions, latents)
    assert 0 < room.float().mean() < 0.7
    assert torch.equal(latents[~room], known[~room])
    assert (latents[room] - known[room]).abs().mean() > 0.1
    assert latents.isfinite().all()


def test_sae_changes_the_defect_and_is_gone_afterwards(small: BaseModel, regions: Regions) -> None:
    processors = dict(small.unet.attn_processors)
    plain = denoise_regions(small, regions, PLAIN)
    enhanced = denoise_regions(small, regions, SAE)
    assert (enhanced - plain).abs().max() > 1e-4
    assert small.unet.attn_processors == processors
    assert not small.controlnet._forward_pre_hooks
    assert torch.equal(denoise_regions(small, regions, PLAIN), plain)


def test_sae_weights_of_one_are_plain_attention(small: BaseModel, regions: Regions) -> None:
    ones = changed(SAE, sae={"cap": 1 + 1e-12})  # in float32 a cap of exactly 1
    plain = denoise_regions(small, regions, PLAIN)
    torch.testing.assert_close(denoise_regions(small, regions, ones), plain)
    without = replace(regions, references=None)
    assert torch.equal(denoise_regions(small, without, SAE), plain)


def test_sae_works_under_guidance(small: BaseModel, regions: Regions) -> None:
    guided = denoise_regions(small, regions, changed(SAE, guidance=5.0))
    assert (guided - denoise_regions(small, regions, changed(PLAIN, guidance=5.0))).abs().max() > 0


def test_guidance_leads_away_from_the_normal_prompt(small: BaseModel, regions: Regions) -> None:
    plain = denoise_regions(small, regions, PLAIN)
    guided = denoise_regions(small, regions, changed(PLAIN, guidance=5.0))
    assert (guided - plain).abs().max() > 1e-3
    same = replace(regions, negative=regions.text)
    same_guided = denoise_regions(small, same, changed(PLAIN, guidance=5.0))
    torch.testing.assert_close(same_guided, plain, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_a_control_image_is_brought_down_once(
    small: BaseModel, regions: Regions, monkeypatch: pytest.MonkeyPatch, guidance: float
) -> None:
    options, calls = changed(SAE, guidance=guidance), []
    network = small.controlnet.controlnet_cond_embedding
    hook = network.conv_in.register_forward_hook(lambda *_: calls.append(1))
    once = denoise_regions(small, regions, options)
    assert len(calls) == 1
    monkeypatch.setattr(sampler, "_control_seen_once", lambda base: nullcontext())
    assert torch.equal(denoise_regions(small, regions, options), once)
    assert len(calls) == 1 + int(options.steps * options.strength) > 2
    hook.remove()
    assert "forward" not in vars(network)


def test_noise_depends_on_its_seed_alone() -> None:
    noise = draw_noise([3, 1 << 61, 3], (8, 4, 4))
    assert torch.equal(noise[0], noise[2])
    assert not torch.equal(noise[0], noise[1])
    assert torch.equal(draw_noise([1 << 61], (8, 4, 4))[0], noise[1])
    torch.manual_seed(1)
    assert torch.equal(draw_noise([3], (8, 4, 4))[0], noise[0])


def test_an_image_does_not_depend_on_its_batch(small: BaseModel, regions: Regions) -> None:
    together = denoise_regions(small, regions, SAE)
    for i in range(3):
        part = Regions(**{name: value[i : i + 1] for name, value in vars(regions).items()})
        torch.testing.assert_close(
            denoise_regions(small, part, SAE)[0], together[i], atol=1e-4, rtol=1e-4
        )


def test_other_seeds_make_other_defects(small: BaseModel, regions: Regions) -> None:
    other = denoise_regions(small, replace(regions, seeds=[5, 6, 8]), PLAIN)
    same = denoise_regions(small, regions, PLAIN)
    torch.testing.assert_close(other[:2], same[:2])
    assert (other[2] - same[2]).abs().max() > 0.1


def test_less_strength_stays_nearer_to_the_start(small: BaseModel, regions: Regions) -> None:
    ten = changed(PLAIN, steps=10)
    begun = small.encode(regions.start)
    room = inside(regions, begun)
    distances = [
        (denoise_regions(small, regions, changed(ten, strength=strength)) - begun)[room]
        .abs()
        .mean()
        .item()
        for strength in (0.2, 0.6, 1.0)
    ]
    assert distances[0] < 0.9 * distances[1] < 0.9 * distances[2]


def test_a_start_other_than_the_background_shows_inside_only(
    small: BaseModel, regions: Regions
) -> None:
    weak = changed(PLAIN, steps=10, strength=0.2)
    other = replace(regions, start=pictures(small, 3, seed=9))
    here, there = (denoise_regions(small, r, weak) for r in (regions, other))
    room = inside(regions, here)
    assert torch.equal(here[~room], there[~room])
    assert (here - there)[room].abs().max() > 0.01


def test_four_channel_unets_are_blended_the_same_way(sd15: BaseModel) -> None:
    guide = build_controlnet(sd15.unet, 8)
    base = sd15.with_networks(controlnet=guide, unet=None, fingerprint="guided")
    masks = torch.zeros(2, 1, 64, 64)
    masks[:, :, 20:36, 20:36] = 1
    regions = regions_of(base, masks)
    latents = denoise_regions(base, regions, changed(SAE, guidance=5.0))
    room = inside(regions, latents)
    assert torch.equal(latents[~room], base.encode(regions.background)[~room])


def test_cells_touched_by_a_thin_stroke_count() -> None:
    masks = torch.zeros(1, 1, 32, 32)
    masks[0, 0, 13, :] = 0.2
    cells = latent_masks(masks, torch.Size((8, 8)))
    assert cells[0, 0, 3].all()
    assert cells.sum() == 8
    assert latent_masks(masks, torch.Size((8, 8)), grow=1).sum() == 24
