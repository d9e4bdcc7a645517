"""Pretraining of the compact base: an autoencoder, then UNet, ControlNet and text together.

Scenes are drawn afresh from (seed, stage, step, index), so that no image is seen twice, a resumed
run sees what the uninterrupted one would have, and the recipe is its seed and its step counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth_pipeline.base_model.denoising import (
    Ema,
    build_controlnet,
    denoise,
    diffusion_target,
    masked_mse,
)
from defectsynth_pipeline.compact import networks
from defectsynth_pipeline.compact.defects import Scene, scene
from defectsynth_pipeline.options import PretrainOptions
from defectsynth_pipeline.resumable import Progress, load_checkpoint, save_checkpoint

OnMetrics = Callable[[int, dict[str, float]], None]


def draw(seed: int, stage: int, step: int, count: int) -> list[Scene]:
    """Return the `count` scenes of one training step."""
    return [scene(np.random.default_rng([seed, stage, step, i])) for i in range(count)]


def to_images(scenes: list[Scene]) -> Tensor:
    """Return images (B, 3, 64, 64) in [-1, 1]."""
    stacked = np.stack([s.image for s in scenes]).astype(np.float32)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2) * 2 - 1


def to_masks(scenes: list[Scene]) -> Tensor:
    """Return masks (B, 1, 64, 64) in {0, 1}."""
    return torch.from_numpy(np.stack([s.mask for s in scenes])[:, None].astype(np.float32))


def recoloured(images: Tensor, seed: int) -> Tensor:
    """Return the images with a smooth random colour cast on half of them, (B, 3, H, W) in [-1, 1].

    Industrial surfaces are nearly grey and evenly coloured. Group normalisation takes an even
    colour away, so an autoencoder trained on them stays grey; a cast that varies over the image
    is learned within a hundred steps, and even colours come with it.
    """
    rng = np.random.default_rng(seed)
    cells = int(rng.integers(2, 7))
    cast = torch.from_numpy(rng.normal(0, 0.45, (len(images), 3, cells, cells))).float()
    cast = F.interpolate(cast, size=images.shape[-2:], mode="bicubic")
    cast = cast * torch.from_numpy(rng.random((len(images), 1, 1, 1)) < 0.5)
    return (images + cast).clamp(-1, 1)


def reconstruction_loss(images: Tensor, restored: Tensor) -> Tensor:
    """Return L1 at four scales plus squared errors, of all and of the colour alone."""
    loss = F.l1_loss(restored, images) + 5 * F.mse_loss(restored, images)
    for scale in (2, 4, 8):
        loss = loss + F.l1_loss(F.avg_pool2d(restored, scale), F.avg_pool2d(images, scale))
    return loss + 10 * F.mse_loss(_colour(restored), _colour(images))


def _colour(images: Tensor) -> Tensor:
    """Return each pixel's deviation from grey, averaged over 4 x 4 blocks."""
    return F.avg_pool2d(images - images.mean(1, keepdim=True), 4)


def train_vae(options: PretrainOptions, checkpoints: Path, on_metrics: OnMetrics) -> AutoencoderKL:
    """Train the autoencoder and standardise its latents per channel."""
    torch.manual_seed(options.seed)
    vae = networks.build_vae()
    step = _Stepper(vae, options.vae_learning_rate, checkpoints / "vae.pt", options)
    progress = Progress("autoencoder", options.vae_steps, step.done)
    while step.done < options.vae_steps:
        scenes = draw(options.seed, 0, step.done, options.vae_batch_size)
        images = recoloured(to_images(scenes), options.seed * 1_000_003 + step.done)
        noise = torch.Generator().manual_seed(options.seed * 1_000_003 + step.done)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(images).latent_dist
            restored = vae.decode(posterior.sample(noise)).sample
        loss = reconstruction_loss(images, restored.float()) + 2e-4 * posterior.kl().mean() / 2048
        step.take(loss, options.vae_steps)
        progress(step.done, loss=loss.item())
        if step.done % 50 == 0:
            on_metrics(step.done, {"pretrain.vae_loss": loss.item()})
    step.ema.copy_to(vae)
    vae.eval().requires_grad_(False)
    latents = vae.encode(to_images(draw(options.seed, 1, 0, 512))).latent_dist.mode()
    networks.standardise_latents(vae, latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    return vae


def train_denoiser(
    vae: AutoencoderKL, options: PretrainOptions, folder: Path, on_metrics: OnMetrics
) -> dict[str, Any]:
    """Train UNet, ControlNet and text encoder jointly; return the pipeline's components."""
    torch.manual_seed(options.seed)
    tokenizer = networks.build_tokenizer(folder / "tokenizer")
    text_encoder, unet = networks.build_text_encoder(tokenizer), networks.build_unet()
    controlnet, scheduler = build_controlnet(unet), networks.build_scheduler()
    model = nn.ModuleDict({"unet": unet, "controlnet": controlnet, "text": text_encoder})
    step = _Stepper(model, options.unet_learning_rate, folder / "denoiser.pt", options)
    progress = Progress("denoiser", options.unet_steps, step.done)
    smooth = 0.0
    while step.done < options.unet_steps:
        scenes = draw(options.seed, 2, step.done, options.unet_batch_size)
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step.done)
        latents, masks = vae.encode(to_images(scenes)).latent_dist.mode(), to_masks(scenes)
        noise = torch.randn(latents.shape, generator=generator)
        timesteps = torch.randint(0, 1000, (len(scenes),), generator=generator)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        text = encode_captions([s.caption for s in scenes], tokenizer, text_encoder)
        prediction = denoise(unet, controlnet, noisy, timesteps, text, masks.repeat(1, 3, 1, 1))
        target = diffusion_target(scheduler, latents, noise, timesteps)
        loss = masked_mse(prediction, target, masks, options.mask_weight)
        step.take(loss, options.unet_steps)
        smooth = loss.item() if smooth == 0 else 0.98 * smooth + 0.02 * loss.item()
        progress(step.done, loss=smooth)
        if step.done % 50 == 0:
            on_metrics(step.done, {"pretrain.denoiser_loss": smooth})
    step.ema.copy_to(model)
    model.eval().requires_grad_(False)
    return {
        "vae": vae,
        "text_encoder": text_encoder,
        "tokenizer": tokenizer,
        "unet": unet,
        "controlnet": controlnet,
        "scheduler": scheduler,
    }


def encode_captions(captions: list[str], tokenizer: Any, text_encoder: nn.Module) -> Tensor:
    """Return text states (B, 77, D)."""
    tokens = tokenizer(
        captions,
        padding="max_length",
        truncation=True,
        max_length=tokenizer.model_max_length,
        return_tensors="pt",
    )
    states: Tensor = text_encoder(tokens.input_ids)[0]
    return states


class _Stepper:
    """Optimizer, EMA, step counter and seconds of one module, kept together on disk."""

    def __init__(
        self, module: nn.Module, rate: float, path: Path, options: PretrainOptions
    ) -> None:
        self.module, self.path, self.rate = module, path, rate
        self.every = options.checkpoint_every
        self.optimizer = torch.optim.AdamW(module.parameters(), rate, weight_decay=0.01)
        self.ema, self.done, self.seconds = Ema(module, options.ema), 0, 0.0
        if (state := load_checkpoint(path)) is not None:
            module.load_state_dict(state["module"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.ema.shadow, self.ema.steps = state["ema"], state["step"]
            self.done, self.seconds = state["step"], state["seconds"]
        self._since = time.monotonic()

    def take(self, loss: Tensor, total: int) -> None:
        """Do one optimizer step: linear warm-up, then cosine to a tenth; checkpoint at times."""
        warm = min(1.0, (self.done + 1) / 200)
        fall = 0.55 + 0.45 * float(np.cos(np.pi * self.done / total))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * warm * fall
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.ema.update(self.module)
        self.done += 1
        if self.done % self.every == 0 or self.done == total:
            self._save()

    def _save(self) -> None:
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now
        state: dict[str, Any] = {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        state |= {"ema": self.ema.shadow, "step": self.done, "seconds": self.seconds}
        save_checkpoint(self.path, state)
