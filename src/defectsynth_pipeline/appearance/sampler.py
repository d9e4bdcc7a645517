"""Denoising a batch of regions: diffusers' ControlNet inpainting pipeline, with SAE inside it.

The pipeline keeps known latents by itself only for UNets of 4 channels; here the blend is done
at its step-end callback for all of them alike, with a mask of every cell handed to the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import StableDiffusionControlNetInpaintPipeline
from torch import Tensor

from defectsynth_pipeline.appearance.attention import SaeState, install_sae, sae_weights
from defectsynth_pipeline.base_model.denoising import latent_masks
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.options import SynthesisOptions


@dataclass(frozen=True)
class Regions:
    """What a batch of B regions is denoised from.

    Attributes:
        start: (B, 3, H, W) in [-1, 1], what `strength` below 1 starts from.
        background: (B, 3, H, W) in [-1, 1], what stays outside the mask.
        masks: (B, 1, H, W) coverage in [0, 1], the control image.
        references: (B, C, h, w) latents of real defects, aligned (Eq. 6); None without SAE.
        text: (B, 77, D) text states.
        negative: (B, 77, D) text states of the normal prompt, used by guidance above 1.
        seeds: B seeds, one noise each.
    """

    start: Tensor
    background: Tensor
    masks: Tensor
    references: Tensor | None
    text: Tensor
    negative: Tensor
    seeds: list[int]


def draw_noise(seeds: list[int], shape: tuple[int, ...]) -> Tensor:
    """Return (B, *shape) standard normal, each image from its own seed."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


@torch.no_grad()
def denoise_regions(base: BaseModel, regions: Regions, options: SynthesisOptions) -> Tensor:
    """Return latents (B, C, h, w) with a defect in every mask and the background elsewhere.

    DDIM, eta 0, `options.steps` steps over the last `strength` of the noise levels.
    """
    pipeline = _pipeline(base)
    pipeline.scheduler.set_timesteps(options.steps)
    kept = int(options.steps * options.strength)
    timesteps = pipeline.scheduler.timesteps[options.steps - kept :]
    known = base.encode(regions.background)
    noise = draw_noise(regions.seeds, tuple(known.shape[1:])).to(known)
    begin = pipeline.scheduler.add_noise(base.encode(regions.start), noise, timesteps[:1])
    cells = latent_masks(regions.masks, known.shape[-2:]).to(known)
    room = latent_masks(regions.masks, known.shape[-2:], grow=1).to(known)

    def keep_background(_: Any, i: int, __: Any, values: dict[str, Tensor]) -> dict[str, Tensor]:
        outside = known
        if i + 1 < len(timesteps):
            outside = pipeline.scheduler.add_noise(known, noise, timesteps[i + 1 : i + 2])
        return {"latents": room * values["latents"] + (1 - room) * outside}

    with _selective_attention(base, regions, cells, options), _control_seen_once(base):
        latents: Tensor = pipeline(
            prompt_embeds=regions.text,
            negative_prompt_embeds=regions.negative if options.guidance > 1 else None,
            image=(regions.background + 1) / 2,
            mask_image=torch.ones_like(regions.masks),
            control_image=regions.masks.repeat(1, 3, 1, 1),
            latents=begin,
            num_inference_steps=options.steps,
            strength=options.strength,
            guidance_scale=options.guidance,
            eta=0.0,
            output_type="latent",
            callback_on_step_end=keep_background,
        ).images
    return latents


def _pipeline(base: BaseModel) -> StableDiffusionControlNetInpaintPipeline:
    pipeline = StableDiffusionControlNetInpaintPipeline(
        vae=base.vae,
        text_encoder=base.text_encoder,
        tokenizer=base.tokenizer,
        unet=base.unet,
        controlnet=base.controlnet,
        scheduler=type(base.scheduler).from_config(base.scheduler.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def _control_seen_once(base: BaseModel) -> Iterator[None]:
    """Bring a control image down to the latents' size once, not at every step: it stays the same.

    It is a tenth of a step of the compact model, being done at the pixels' size.
    """
    if base.controlnet is None:
        yield
        return
    network = base.controlnet.controlnet_cond_embedding
    own = network.forward
    seen: list[tuple[Tensor, Tensor]] = []

    def forward(control: Tensor) -> Tensor:
        if not seen or seen[0][0] is not control:
            seen[:] = [(control, own(control))]
        return seen[0][1]

    network.forward = forward
    try:
        yield
    finally:
        del network.forward


@contextmanager
def _selective_attention(
    base: BaseModel, regions: Regions, cells: Tensor, options: SynthesisOptions
) -> Iterator[None]:
    """Recompute the weight map (Eq. 7) from z_t before every step and apply it (Eq. 8)."""
    references, controlnet = regions.references, base.controlnet
    if references is None or controlnet is None or not options.sae.enabled:
        yield
        return
    state = SaeState()

    def reweigh(_: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        z_t = (arguments[0] if arguments else named["sample"])[-len(references) :]
        weights = sae_weights(references, z_t, cells, options.sae.weights, options.sae.cap)
        state.update(weights, tuple(z_t.shape[-2:]))

    with ExitStack() as stack:
        for model in (base.unet, controlnet):
            stack.enter_context(install_sae(model, state))
        # The ControlNet sees z_t first in every step, so the UNet finds the same weights.
        hook = controlnet.register_forward_pre_hook(reweigh, with_kwargs=True)
        stack.callback(hook.remove)
        yield
