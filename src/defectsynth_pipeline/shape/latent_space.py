"""Latent-space interpolation (Sec. III-C, Eq. 4): VAE, DDIM inversion, slerp, DDIM sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler
from PIL import Image
from torch import Tensor

from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.options import LatentMaskOptions
from defectsynth_pipeline.resumable import Progress
from defectsynth_pipeline.shape.geometry import resize_mask

_LEAST_CONTRAST = 0.2
Denoiser = Callable[[Tensor, int], Tensor]
"""(latents (B, C, h, w), timestep) -> the network's prediction of the same shape."""


def interpolate_latents(
    rows: pd.DataFrame,
    masks: dict[str, np.ndarray],
    size: tuple[int, int],
    model: BaseModel,
    options: LatentMaskOptions,
) -> dict[str, np.ndarray]:
    """Interpolate between the DDIM inversions of two masks for every row.

    Each base mask is inverted once, each pair mixed once at each alpha. The last batch is filled up
    by repetition, so that a row always meets the same kernels. Masks may come out empty: the caller
    judges them.

    Args:
        rows: Plan rows; image_id, parents "id|id", alpha.
        masks: Base masks (H, W) by sample id.
        size: (height, width) of the results.
        model: The base model.
        options: Steps, batch size, prompt, threshold.

    Returns:
        Masks of bool (height, width) by image_id.
    """
    needed = sorted({sample for pair in rows["parents"] for sample in str(pair).split("|")})
    pictures = torch.stack([_picture(masks[sample], model.resolution) for sample in needed])
    noises: dict[str, Tensor] = {}
    for start in range(0, len(needed), options.batch_size):
        names = needed[start : start + options.batch_size]
        latents = model.encode(_filled(pictures[start : start + len(names)], options.batch_size))
        inverted = invert(latents, denoiser(model, options), model.scheduler, options.steps)
        noises |= dict(zip(names, inverted.cpu(), strict=False))
    mixes = list(zip(rows["parents"].astype(str), rows["alpha"].astype(float), strict=True))
    different = list(dict.fromkeys(mixes))
    found: dict[tuple[str, float], np.ndarray] = {}
    progress = Progress("mask of latent space", len(different))
    for start in range(0, len(different), options.batch_size):
        batch = different[start : start + options.batch_size]
        mixed = torch.stack([_mixed(*mix, noises) for mix in batch])
        mixed = _filled(mixed, options.batch_size).to(model.device, model.dtype)
        latents = sample(mixed, denoiser(model, options), model.scheduler, options.steps)
        levels = (model.decode(latents).float().mean(dim=1) / 2 + 0.5).cpu().numpy()
        for mix, level in zip(batch, levels, strict=False):
            resized = Image.fromarray(level).resize(size[::-1], Image.Resampling.BICUBIC)
            found[mix] = cut(np.asarray(resized), options.threshold)
        progress(len(found))
    return {row: found[mix] for row, mix in zip(rows["image_id"].astype(str), mixes, strict=True)}


def cut(levels: np.ndarray, threshold: float) -> np.ndarray:
    """Threshold a decoded picture (H, W) of about [0, 1] between its own darkest and brightest.

    Slerp and a compact VAE both compress the contrast, so a fixed level would shrink every mask;
    a picture without any contrast gives an empty mask.
    """
    dark, bright = np.percentile(levels, [2.0, 99.5])
    if bright - dark < _LEAST_CONTRAST:
        return np.zeros(levels.shape, dtype=bool)
    return np.asarray(levels > dark + threshold * (bright - dark))


def slerp(first: Tensor, second: Tensor, alpha: float) -> Tensor:
    """Spherical interpolation (Eq. 4) of two tensors of one shape, linear if they are parallel."""
    one, two = first.double().flatten(), second.double().flatten()
    cosine = torch.dot(one, two) / (one.norm() * two.norm()).clamp_min(1e-12)
    angle = torch.arccos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    if float(sine) < 1e-6:
        mixed = (1 - alpha) * one + alpha * two
    else:
        mixed = (torch.sin((1 - alpha) * angle) * one + torch.sin(alpha * angle) * two) / sine
    return mixed.reshape(first.shape).to(first.dtype)


@torch.no_grad()
def invert(latents: Tensor, denoise: Denoiser, scheduler: DDIMScheduler, steps: int) -> Tensor:
    """DDIM inversion: the noise that deterministic sampling would turn into `latents`.

    Args:
        latents: Scaled latents (B, C, h, w).
        denoise: The network.
        scheduler: Its noise levels and prediction type (epsilon or v_prediction) are used.
        steps: DDIM steps.
    """
    ddim, times = _respaced(DDIMInverseScheduler, scheduler, steps)
    for step in ddim.timesteps.tolist():
        predicted = denoise(latents, max(times[step], 0)).float()
        latents = ddim.step(predicted, step, latents.float()).prev_sample.to(latents.dtype)
    return latents


@torch.no_grad()
def sample(noise: Tensor, denoise: Denoiser, scheduler: DDIMScheduler, steps: int) -> Tensor:
    """Deterministic DDIM sampling (eta 0) of noise (B, C, h, w), the mirror of `invert`."""
    ddim, times = _respaced(DDIMScheduler, scheduler, steps)
    latents = noise
    for step in ddim.timesteps.tolist():
        predicted = denoise(latents, times[step + 1]).float()
        latents = ddim.step(predicted, step, latents.float()).prev_sample.to(latents.dtype)
    return latents


def denoiser(model: BaseModel, options: LatentMaskOptions) -> Denoiser:
    """The model's UNet under one prompt, without guidance."""
    states = model.embed([options.prompt]).to(model.device, model.dtype)
    unet: Any = model.unet

    def denoise(latents: Tensor, timestep: int) -> Tensor:
        context = states.expand(len(latents), -1, -1)
        prediction: Tensor = unet(
            latents.to(model.dtype), timestep, encoder_hidden_states=context
        ).sample
        return prediction

    return denoise


def _respaced(kind: Any, scheduler: DDIMScheduler, steps: int) -> tuple[Any, list[int]]:
    """A scheduler that knows `steps` noise levels only, and their timesteps from -1, clean, on.

    On all the levels the library steps num_train_timesteps // steps back, which misses the next
    level wherever that division leaves a rest.
    """
    times = np.linspace(-1, scheduler.config.num_train_timesteps - 1, steps + 1).round().astype(int)
    kept = torch.cat([torch.ones(1), scheduler.alphas_cumprod.cpu()[times[1:]]])
    if scheduler.config.prediction_type == "epsilon":
        kept = kept.clamp_min(1e-8)  # its step divides by the square root, 0 at zero terminal SNR
    respaced = kind.from_config(
        scheduler.config,
        num_train_timesteps=steps,
        trained_betas=(1 - kept[1:] / kept[:-1]).tolist(),
        timestep_spacing="leading",
        steps_offset=0,
        set_alpha_to_one=True,
        rescale_betas_zero_snr=False,
        clip_sample=False,
        thresholding=False,
    )
    respaced.set_timesteps(steps)
    return respaced, times.tolist()


def _mixed(parents: str, alpha: float, noises: dict[str, Tensor]) -> Tensor:
    first, *rest = parents.split("|")
    return slerp(noises[first], noises[(rest or [first])[0]], alpha)


def _filled(values: Tensor, count: int) -> Tensor:
    """Repeat the last entry until there are `count`."""
    return torch.cat([values, values[-1:].expand(count - len(values), *values.shape[1:])])


def _picture(mask: np.ndarray, side: int) -> Tensor:
    """A mask as an image (3, side, side) in [-1, 1]."""
    square = torch.from_numpy(resize_mask(mask, side, side).astype(np.float32))
    return (square * 2 - 1).expand(3, -1, -1)
