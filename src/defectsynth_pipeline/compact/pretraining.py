"""Pretraining of the compact base: an autoencoder, then UNet, ControlNet and text together.

Scenes are drawn afresh from (seed, stage, step, index), so that no image is seen twice, a resumed
run sees what the uninterrupted one would have, and the recipe is its seed and its step counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth_pipeline.base_model.denoising import (
    build_controlnet,
    denoise,
    diffusion_target,
    embed,
    masked_mse,
)
from defectsynth_pipeline.compact import networks
from defectsynth_pipeline.compact.scenes import Scene, scene
from defectsynth_pipeline.options import PretrainOptions
from defectsynth_pipeline.resumable import OnMetrics, Session, learning_rate, set_rate


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
    rate, steps, path = options.vae_learning_rate, options.vae_steps, checkpoints / "vae.pt"
    trained = _Stepper("autoencoder", vae, rate, steps, path, options)
    while (step := trained.session.step) < steps:
        scenes = draw(options.seed, 0, step, options.vae_batch_size)
        images = recoloured(to_images(scenes), options.seed * 1_000_003 + step)
        noise = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(images).latent_dist
            restored = vae.decode(posterior.sample(noise)).sample
        loss = reconstruction_loss(images, restored.float()) + 2e-4 * posterior.kl().mean() / 2048
        trained.take(loss, shown=loss.item())
        if (step + 1) % 50 == 0:
            on_metrics(step + 1, {"pretrain.vae_loss": loss.item()})
    trained.finish()
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
    rate, steps, path = options.unet_learning_rate, options.unet_steps, folder / "denoiser.pt"
    trained, smooth = _Stepper("denoiser", model, rate, steps, path, options), 0.0
    while (step := trained.session.step) < steps:
        scenes = draw(options.seed, 2, step, options.unet_batch_size)
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        latents, masks = vae.encode(to_images(scenes)).latent_dist.mode(), to_masks(scenes)
        noise = torch.randn(latents.shape, generator=generator)
        timesteps = torch.randint(0, 1000, (len(scenes),), generator=generator)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        text = embed([s.caption for s in scenes], tokenizer, text_encoder)
        prediction = denoise(unet, controlnet, noisy, timesteps, text, masks.repeat(1, 3, 1, 1))
        target = diffusion_target(scheduler, latents, noise, timesteps)
        loss = masked_mse(prediction, target, masks, options.mask_weight)
        smooth = loss.item() if smooth == 0 else 0.98 * smooth + 0.02 * loss.item()
        trained.take(loss, shown=smooth)
        if (step + 1) % 50 == 0:
            on_metrics(step + 1, {"pretrain.denoiser_loss": smooth})
    trained.finish()
    return {
        "vae": vae,
        "text_encoder": text_encoder,
        "tokenizer": tokenizer,
        "unet": unet,
        "controlnet": controlnet,
        "scheduler": scheduler,
    }


class _Stepper:
    """Optimizer, moving average and place of one module, kept together on disk."""

    def __init__(
        self,
        name: str,
        module: nn.Module,
        rate: float,
        steps: int,
        path: Path,
        options: PretrainOptions,
    ) -> None:
        self.module, self.rate, self.every = module, rate, options.checkpoint_every
        self.session = Session(name, steps, path)
        self.optimizer = torch.optim.AdamW(module.parameters(), rate, weight_decay=0.01)
        self.average = moving_average(module, options.ema)
        self.names = [name for name, _ in module.named_parameters()]
        if (state := self.session.restore()) is not None:
            module.load_state_dict(state["module"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average.shadow_params = [state["ema"][name] for name in self.names]
            self.average.optimization_step = state["step"]

    def take(self, loss: Tensor, shown: float) -> None:
        """Do one optimizer step: linear warm-up, then cosine to a tenth; checkpoint at times."""
        session = self.session
        rate = learning_rate(self.rate, session.step, session.steps, warm_up=200, floor=0.1)
        set_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.average.step(self.module.parameters())
        session.count(loss=shown)
        if session.due(self.every):
            state = {"module": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}
            average = dict(zip(self.names, self.average.shadow_params, strict=True))
            session.save({**state, "ema": average})

    def finish(self) -> None:
        """Overwrite the module's parameters with their average and freeze them."""
        self.average.copy_to(self.module.parameters())
        self.module.eval().requires_grad_(False)


def moving_average(module: nn.Module, decay: float) -> EMAModel:
    """Return the moving average of a module's parameters, with decay (1 + n) / (10 + n) at first.

    The offset of -1 lets the library's warm-up begin at the first step, rather than copy it.
    """
    return EMAModel(module.parameters(), decay=decay, update_after_step=-1)
