"""The compact components: shapes, a zero ControlNet, and a tokenizer that can spell anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import CLIPTokenizer

from defectsynth_pipeline.base_model.denoising import build_controlnet
from defectsynth_pipeline.compact import networks as compact


def test_shapes_and_sizes() -> None:
    vae, unet = compact.build_vae(), compact.build_unet()
    controlnet = build_controlnet(unet)
    images, latents = torch.zeros(1, 3, 64, 64), torch.zeros(1, 8, 16, 16)
    with torch.no_grad():
        assert vae.encode(images).latent_dist.mode().shape == latents.shape
        assert vae.decode(latents).sample.shape == images.shape
        text, steps = torch.zeros(1, 77, 64), torch.tensor([10])
        assert unet(latents, steps, encoder_hidden_states=text).sample.shape == latents.shape
        down, middle = controlnet(
            latents,
            steps,
            encoder_hidden_states=text,
            controlnet_cond=torch.ones(1, 3, 64, 64),
            return_dict=False,
        )
    assert not any(part.any() for part in (*down, middle))
    count = sum(p.numel() for part in (vae, unet, controlnet) for p in part.parameters())
    assert count < 10e6  # 20 MB in half precision


@pytest.mark.parametrize(("factor", "side"), [(4, 64), (8, 128)])
def test_control_images_are_brought_to_the_latent_grid(factor: int, side: int) -> None:
    controlnet = build_controlnet(compact.build_unet(), factor)
    grid = controlnet.controlnet_cond_embedding(torch.zeros(1, 3, side, side)).shape[-2:]
    assert grid == (side // factor, side // factor)


def test_the_scheduler_ends_in_pure_noise() -> None:
    scheduler = compact.build_scheduler()
    assert scheduler.alphas_cumprod[-1] < 1e-6
    scheduler.set_timesteps(20)
    assert scheduler.timesteps[0] == 999


@pytest.mark.parametrize("text", ["crack", "a binary mask", "Größe №7, 板!", "x" * 500])
def test_any_words_are_spelt(tmp_path: Path, text: str) -> None:
    tokenizer = compact.build_tokenizer(tmp_path)
    tokens = tokenizer(text, max_length=77, truncation=True, padding="max_length").input_ids
    assert len(tokens) == 77
    assert tokenizer.unk_token_id is None or tokens[1] != tokenizer.eos_token_id
    again = CLIPTokenizer.from_pretrained(tmp_path, model_max_length=77)
    assert again(text).input_ids == tokenizer(text).input_ids
    if len(text) < 20:
        plain = tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True)
        assert plain.replace(" ", "") == text.lower().replace(" ", "")


def test_known_words_are_few_tokens_and_all_different(tmp_path: Path) -> None:
    tokenizer = compact.build_tokenizer(tmp_path)
    spelt = {word: tokenizer(word).input_ids[1:-1] for word in compact.WORDS.split()}
    assert len({tuple(tokens) for tokens in spelt.values()}) == len(spelt)
    assert all(len(tokens) <= max(len(word) - 2, 1) for word, tokens in spelt.items())
    assert sum(len(tokens) == 1 for tokens in spelt.values()) > len(spelt) / 2


def test_the_text_encoder_reads_the_end_of_text_token(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = compact.build_tokenizer(tmp_path)
    encoder = compact.build_text_encoder(tokenizer).eval()
    one, two = (torch.tensor([tokenizer(t).input_ids]) for t in ("crack wood", "crack weld"))
    with torch.no_grad():
        assert encoder(one)[0].shape == (1, 4, 64)
        assert not torch.equal(encoder(one).pooler_output, encoder(two).pooler_output)
