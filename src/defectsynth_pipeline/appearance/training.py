"""What every training loop here shares: the loss, progress with ETA, checkpoints, EMA."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional as F

log = logging.getLogger(__name__)


def denoise(
    unet: UNet2DConditionModel,
    controlnet: ControlNetModel,
    noisy: Tensor,
    timesteps: Tensor,
    text: Tensor,
    control: Tensor,
) -> Tensor:
    """Return the prediction (B, C, h, w) of the UNet guided by the ControlNet."""
    down, middle = controlnet(
        noisy, timesteps, encoder_hidden_states=text, controlnet_cond=control, return_dict=False
    )
    prediction: Tensor = unet(
        noisy,
        timesteps,
        encoder_hidden_states=text,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
        return_dict=False,
    )[0]
    return prediction


def diffusion_target(
    scheduler: DDIMScheduler, latents: Tensor, noise: Tensor, timesteps: Tensor
) -> Tensor:
    """Return what the model is to predict, noise or velocity, as its scheduler is configured."""
    if scheduler.config.prediction_type == "v_prediction":
        velocity: Tensor = scheduler.get_velocity(latents, noise, timesteps)
        return velocity
    return noise


def masked_mse(prediction: Tensor, target: Tensor, masks: Tensor, weight: float) -> Tensor:
    """Return the denoising loss (Eq. 3) with cells under the mask counting `weight` times.

    Args:
        prediction: (B, C, h, w).
        target: (B, C, h, w).
        masks: (B, 1, H, W) in [0, 1]; a cell counts as masked if a pixel of it is covered by
            more than a tenth.
        weight: 1 gives the plain mean squared error.
    """
    cells = (F.adaptive_max_pool2d(masks.float(), prediction.shape[-2:]) > 0.1).float()
    weights = 1 + (weight - 1) * cells
    errors = (prediction.float() - target.float()).square().mean(1, keepdim=True)
    return (errors * weights).sum() / weights.sum()


class Progress:
    """Logs step, loss, rate and time left, at most once every `seconds`."""

    def __init__(self, name: str, total: int, start: int = 0, seconds: float = 15.0) -> None:
        self._name, self._total, self._start, self._seconds = name, total, start, seconds
        self._began = self._last = time.monotonic()

    def __call__(self, done: int, **values: float) -> None:
        now = time.monotonic()
        if now - self._last < self._seconds and done < self._total:
            return
        self._last = now
        rate = (done - self._start) / max(now - self._began, 1e-9)
        left = (self._total - done) / max(rate, 1e-9)
        figures = " ".join(f"{key} {value:.4f}" for key, value in values.items())
        log.info(
            "%s %d/%d, %.2f/s, %d:%02d left, %s",
            self._name,
            done,
            self._total,
            rate,
            *divmod(int(left), 60),
            figures,
        )


class Ema:
    """Exponential moving average of a module's parameters, warmed up from the first step."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.shadow = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the module's present parameters."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, parameter in module.named_parameters():
            self.shadow[name].lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Overwrite the module's parameters with the average."""
        for name, parameter in module.named_parameters():
            parameter.copy_(self.shadow[name])


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values so that a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(dict(state), partial)
    os.replace(partial, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return what `save_checkpoint` wrote, or None where nothing was."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    log.info("resuming from %s at step %s", path.name, state.get("step"))
    return state
