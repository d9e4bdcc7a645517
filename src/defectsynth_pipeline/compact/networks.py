"""The compact base model: the Stable Diffusion component classes, small enough for a CPU.

64 px regions become 16 x 16 x 8 latents (AutoencoderKL, f=4); the UNet predicts v with zero
terminal SNR, so that sampling may start from pure noise without a brightness bias.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

CONTEXT = 77  # tokens, CLIP's own context length
WORDS = (
    "a photo of surface with binary mask plain brushed metal concrete speckled woven fabric wood "
    "weld machined edge crack scratch fray hole stain rust dent chip deposit warp"
)


def build_vae() -> AutoencoderKL:
    """Return an untrained autoencoder, (B, 3, H, W) to (B, 8, H/4, W/4)."""
    return AutoencoderKL(
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=8,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=1.0,
    )


def build_unet() -> UNet2DConditionModel:
    """Return an untrained denoiser on (B, 8, 16, 16) latents with 64-wide text states."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=(64, 96, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=64,
        attention_head_dim=4,
        norm_num_groups=32,
    )


def build_scheduler() -> DDIMScheduler:
    """Return DDIM with v-prediction and zero terminal SNR (arXiv:2305.08891)."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """Write and return a byte-level CLIP tokenizer that knows `WORDS` and can spell any other."""
    vocabulary, merges = _byte_pairs(WORDS.split())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", "utf-8")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=CONTEXT
    )


def _byte_pairs(words: list[str]) -> tuple[dict[str, int], list[str]]:
    """Return CLIP's 256 printable bytes, their word-final forms, and left-to-right merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    letters = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]
    tokens, merges = letters + [letter + "</w>" for letter in letters], []
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        for i in range(1, len(parts)):
            pair = f"{''.join(parts[:i])} {parts[i]}"
            if pair not in merges:
                merges.append(pair)
    tokens += list(dict.fromkeys(pair.replace(" ", "") for pair in merges))
    tokens = list(dict.fromkeys([*tokens, "<|startoftext|>", "<|endoftext|>"]))
    return {token: i for i, token in enumerate(tokens)}, merges


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return an untrained two-layer CLIP text encoder, 64 wide."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


@torch.no_grad()
def standardise_latents(vae: AutoencoderKL, mean: torch.Tensor, std: torch.Tensor) -> None:
    """Fold per-channel standardisation into the two 1x1 convolutions around the latent.

    Args:
        vae: Changed in place; afterwards its latents have mean 0, deviation 1 per channel,
            which one global `scaling_factor` cannot give.
        mean: Latent means before, shape (C,).
        std: Latent deviations before, shape (C,).
    """
    channels = len(mean)
    before, after = vae.quant_conv, vae.post_quant_conv
    before.bias[:channels] = (before.bias[:channels] - mean) / std
    before.weight[:channels] /= std.view(-1, 1, 1, 1)
    before.bias[channels:] -= 2 * std.log()
    after.bias += (after.weight[:, :, 0, 0] * mean).sum(1)
    after.weight *= std.view(1, -1, 1, 1)
