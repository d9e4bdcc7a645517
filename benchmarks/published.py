"""The published implementation's procedure for one image, on our networks, for its cost alone.

What it does per image it keeps: the text is encoded anew; background and reference go through the
autoencoder; the reference is aligned by trying 150 motions of the decoded images; two samples are
denoised over 50 steps, attention computed with its whole matrix and weighed row by row (Eq. 8); one
of the two is decoded and its histogram matched to the background's. Its first weight map, which it
builds at every step and overwrites, and its pauses for files are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import Attention
from skimage.exposure import match_histograms
from torch import Tensor

from defectsynth_pipeline.appearance.attention import SaeState, sae_weights
from defectsynth_pipeline.appearance.render import Region
from defectsynth_pipeline.base_model.denoising import denoise, latent_masks
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.imaging.motion import Motion

SAMPLES, KEPT = 2, 0
_SHIFTS = np.arange(-2, 3)  # of 64ths of the side: 8 px of 512 in steps of 4
_TURNS = np.arange(0, 360, 60)


class ExplicitAttention:
    """Attention whose matrix is made, and weighed row by row where it is to the text."""

    def __init__(self, state: SaeState) -> None:
        self.state = state

    def __call__(
        self,
        attention: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        """Return (B, tokens, channels)."""
        about = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attention.head_to_batch_dim(attention.to_q(hidden_states))
        key, value = (
            attention.head_to_batch_dim(to(about)) for to in (attention.to_k, attention.to_v)
        )
        scores = attention.get_attention_scores(query, key, attention_mask)
        weights = None if encoder_hidden_states is None else self.state.rows(hidden_states)
        if weights is not None:
            scores = weights.repeat_interleave(attention.heads, 0) * scores
        attended = attention.batch_to_head_dim(torch.bmm(scores, value))
        return attention.to_out[1](attention.to_out[0](attended))


def use_explicit_attention(base: BaseModel, state: SaeState) -> None:
    """Let both networks compute attention the long way; only the UNet's is weighed."""
    base.unet.set_attn_processor(ExplicitAttention(state))
    base.controlnet.set_attn_processor(ExplicitAttention(SaeState()))


@torch.no_grad()
def published_image(
    base: BaseModel, region: Region, steps: int, state: SaeState, rng: np.random.Generator
) -> np.ndarray:
    """Return one picture (r, r, 3) in [0, 1]; `use_explicit_attention` comes first."""
    text = base.embed([region.row.prompt]).repeat(SAMPLES, 1, 1)
    mask = torch.from_numpy(region.cover.astype(np.float32))[None, None].repeat(SAMPLES, 1, 1, 1)
    known = base.encode(_tensor(region.seen)).repeat(SAMPLES, 1, 1, 1)
    noise = torch.randn(
        known.shape, generator=torch.Generator().manual_seed(int(rng.integers(9999)))
    )
    noise = noise.to(known)
    reference = _aligned(base, region, noise)
    scheduler = type(base.scheduler).from_config(base.scheduler.config)
    scheduler.set_timesteps(steps)
    cells = latent_masks(mask, known.shape[-2:]).to(known)
    control = mask.repeat(1, 3, 1, 1).to(known)
    latents = noise
    for step in scheduler.timesteps:
        state.update(sae_weights(reference, latents, cells), tuple(latents.shape[-2:]))
        predicted = denoise(base.unet, base.controlnet, latents, step, text, control)
        latents = scheduler.step(predicted, step, latents).prev_sample
        outside = scheduler.add_noise(known, noise, step[None])
        latents = cells * latents + (1 - cells) * outside
    latents = cells * latents + (1 - cells) * known
    shown = _pixels(base.decode(latents)[KEPT])
    return np.asarray(match_histograms(shown, region.seen, channel_axis=-1))


def _aligned(base: BaseModel, region: Region, noise: Tensor) -> Tensor:
    """The reference's latents in the motion, of 150, that covers the mask best."""
    base.decode(noise)  # for the shape of a picture alone
    decoded = _pixels(
        base.decode(base.encode(_tensor(region.reference).repeat(SAMPLES, 1, 1, 1)))[0]
    )
    best, most = decoded, -1.0
    for motion in candidates(len(region.cover)):
        # The mask stands for that of the reference, which is as large.
        moved, picture = motion.warp(region.cover), motion.warp(decoded)
        overlap = float((moved * region.cover).sum())
        if overlap > most:
            best, most = picture, overlap
    return base.encode(_tensor(best).repeat(SAMPLES, 1, 1, 1))


def candidates(side: int) -> Iterator[Motion]:
    """The 150 motions that are tried."""
    unit, middle = side / 64, (side - 1) / 2
    for turn, down, right in product(_TURNS, _SHIFTS, _SHIFTS):
        yield Motion(float(turn), float(down * unit), float(right * unit), middle, middle)


def _tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] * 2 - 1


def _pixels(image: Tensor) -> np.ndarray:
    return np.asarray(((image + 1) / 2).permute(1, 2, 0).cpu().numpy())
