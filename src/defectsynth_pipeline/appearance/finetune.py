"""Few-shot fine-tuning of the ControlNet (paper Sec. III-B) on the base split alone.

`frozen` is the paper's setting, `joint` moves the UNet too (what a compact base needs), `lora`
adds a low-rank adapter to the UNet's attention. Every step's batch and noise come from
(seed, step), so a resumed run goes on exactly where the killed one would have.
"""

from __future__ import annotations

import copy
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from defectsynth_pipeline.appearance.adaptation import FinetunedModel, add_lora, lora_weights
from defectsynth_pipeline.appearance.crops import Crops
from defectsynth_pipeline.base_model.denoising import (
    build_controlnet,
    cell_weights,
    denoise,
    diffusion_target,
    masked_mse,
)
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import FinetuneOptions
from defectsynth_pipeline.resumable import OnMetrics, Session, learning_rate, set_rate

log = logging.getLogger(__name__)
VALIDATION_LEVELS = 4  # noise levels at which every held-out crop is judged


class GuidedDenoiser(nn.Module):
    """UNet and ControlNet as one module, so that accelerate wraps what is trained once."""

    def __init__(self, unet: UNet2DConditionModel, controlnet: ControlNetModel) -> None:
        super().__init__()
        self.unet, self.controlnet = unet, controlnet

    def forward(self, noisy: Tensor, timesteps: Tensor, text: Tensor, masks: Tensor) -> Tensor:
        """Return the prediction (B, C, h, w); masks are (B, 1, H, W) in [0, 1]."""
        control = masks.repeat(1, 3, 1, 1)
        return denoise(self.unet, self.controlnet, noisy, timesteps, text, control)

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the parameters that learn, by name."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}


def build_denoiser(
    base: BaseModel, options: FinetuneOptions, *, mixed: bool = False
) -> GuidedDenoiser:
    """Return copies of the base's networks with exactly the parameters of `adapt` trainable.

    What learns is in single precision; a frozen UNet keeps the base's where training is `mixed`.
    """
    torch.manual_seed(options.seed)
    if base.controlnet is None:
        controlnet = build_controlnet(copy.deepcopy(base.unet).float(), base.latent_factor)
    else:
        controlnet = copy.deepcopy(base.controlnet)
    unet = copy.deepcopy(base.unet)
    if options.adapt == "lora":
        unet = add_lora(base.unet, options.lora_rank)
    unet.requires_grad_(options.adapt == "joint")
    for name, parameter in unet.named_parameters():
        if "lora_" in name:
            parameter.requires_grad_(True)
    if not mixed or options.adapt != "frozen":
        unet = unet.float()
    if options.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
        controlnet.enable_gradient_checkpointing()
    denoiser = GuidedDenoiser(unet, controlnet.float().requires_grad_(True))
    return denoiser.to(base.device).train()


def finetune(
    base: BaseModel,
    crops: Crops,
    options: FinetuneOptions,
    *,
    key: str,
    checkpoints: Path,
    on_metrics: OnMetrics,
) -> tuple[FinetunedModel, pd.DataFrame]:
    """Train, validate on the held-out samples, stop early, and return the best weights.

    Args:
        base: Left unchanged.
        crops: Of the base split and its normals.
        options: See `FinetuneOptions`.
        key: Fingerprint of everything that decides the outcome; names the checkpoint.
        checkpoints: Folder for `<key>.pt`, from which a killed run resumes.
        on_metrics: Called with (step, losses) at every validation, those before a kill included.

    Returns:
        The model and its history: step, train_loss, validation_loss, learning_rate.

    Raises:
        InputError: The loss became NaN; the last checkpoint is kept.
    """
    trainer = _Trainer(base, crops, options, checkpoints / f"{key}.pt")
    session = trainer.session
    for row in trainer.history:
        on_metrics(int(row["step"]), _told(row))
    while session.step < trainer.steps and not trainer.exhausted():
        session.count(loss=trainer.take())
        if session.due(options.validate_every):
            on_metrics(session.step, trainer.validate())
        if session.due(options.checkpoint_every):
            trainer.save()
    trainer.save()
    return trainer.result(key), pd.DataFrame(trainer.history)


class _Trainer:
    """One fine-tuning run: its networks, optimizer, place, history and best weights so far."""

    def __init__(
        self, base: BaseModel, crops: Crops, options: FinetuneOptions, checkpoint: Path
    ) -> None:
        self.base, self.crops, self.options = base, crops, options
        trained = crops.table[~crops.table["normal"] & ~crops.table["held_out"]]
        self.steps = options.optimizer_steps(trained["sample_id"].nunique())
        self.session = Session("fine-tuning", self.steps, checkpoint)
        self.accelerator = _accelerator(base.device, options)
        mixed = self.accelerator.mixed_precision != "no"
        denoiser = build_denoiser(base, options, mixed=mixed)
        optimizer = torch.optim.AdamW(denoiser.trained().values(), options.learning_rate)
        self.running, self.stale = 0.0, 0
        self.best_loss = math.inf
        self.best: dict[str, Tensor] = {}
        self.history: list[dict[str, float]] = []
        self._restore(denoiser, optimizer)
        self.denoiser = denoiser
        self.model, self.optimizer = self.accelerator.prepare(denoiser, optimizer)

    def take(self) -> float:
        """Do one optimizer step over `gradient_accumulation` batches; return the smoothed loss."""
        rate = self.learning_rate()
        set_rate(self.optimizer, rate)
        losses = []
        for micro in range(self.options.gradient_accumulation):
            with self.accelerator.accumulate(self.model):
                loss = self._loss(micro)
                losses.append(self.accelerator.reduce(loss.detach(), "mean").item())
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.denoiser.trained().values(), 1.0)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        value = float(np.mean(losses))
        if not math.isfinite(value):
            raise InputError(
                "fine-tuning diverged: the loss is not a number",
                file=self.session.path,
                value=f"step {self.session.step}, learning_rate {rate:.2e}",
                remedy="lower finetune.learning_rate; the last good checkpoint is kept",
            )
        self.running = value if self.session.step == 0 else 0.95 * self.running + 0.05 * value
        return self.running

    def learning_rate(self) -> float:
        """Return the rate at the present step: short warm-up, then cosine to a tenth."""
        rate, steps = self.options.learning_rate, self.steps
        return learning_rate(rate, self.session.step, steps, warm_up=min(50, steps), floor=0.1)

    def _loss(self, micro: int) -> Tensor:
        rng = np.random.default_rng([self.options.seed, self.session.step, micro])
        rows = _draw(self.crops.table, self.options, rng)
        latents, masks, text = (part.to(self.base.device) for part in self.crops.batch(rows))
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        levels = _levels(self.base.scheduler, self.options.strength)
        steps = torch.randint(0, levels, (len(rows),), generator=generator).to(latents.device)
        # Of several processes each takes its part of the one batch, and as much of the loss.
        mine = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        parts = (part[mine] for part in (latents, masks, text, noise, steps))
        own, whole = (
            cell_weights(part, latents.shape[-2:], self.options.mask_weight).sum()
            for part in (masks[mine], masks)
        )
        return self._mse(self.model, *parts) * (own / whole) * self.accelerator.num_processes

    def _mse(
        self,
        network: nn.Module,
        latents: Tensor,
        masks: Tensor,
        text: Tensor,
        noise: Tensor,
        steps: Tensor,
    ) -> Tensor:
        scheduler = self.base.scheduler
        noisy = scheduler.add_noise(latents, noise, steps)
        with self.accelerator.autocast():
            prediction = network(noisy, steps, text, masks)
        target = diffusion_target(scheduler, latents, noise, steps)
        return masked_mse(prediction, target, masks, self.options.mask_weight)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Judge the held-out crops at fixed noise, keep the best weights, extend the history."""
        rows = np.flatnonzero(self.crops.table["held_out"].to_numpy())[:: self._stride()]
        losses = [math.nan] * min(1, len(rows))
        if self.accelerator.is_main_process:
            losses = [self._judge(rows[i : i + 8], i) for i in range(0, len(rows), 8)]
        told = [float(np.mean(losses)) if losses else math.nan]
        (loss,) = broadcast_object_list(told)  # all processes stop at the same step
        self.history.append(
            {
                "step": self.session.step,
                "train_loss": self.running,
                "validation_loss": loss,
                "learning_rate": self.learning_rate(),
            }
        )
        if not losses or loss < self.best_loss:
            self.best_loss, self.stale = loss, 0
            self.best = {k: p.detach().cpu().clone() for k, p in self.denoiser.trained().items()}
        else:
            self.stale += 1
        return _told(self.history[-1])

    def _stride(self) -> int:
        # A few crops of every held-out sample tell as much as all of them, at less cost.
        return max(1, self.options.crops_per_sample // 4)

    def _judge(self, rows: np.ndarray, number: int) -> float:
        latents, masks, text = (part.to(self.base.device) for part in self.crops.batch(rows))
        generator = torch.Generator().manual_seed(number)
        losses = []
        for level in range(VALIDATION_LEVELS):
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            levels = _levels(self.base.scheduler, self.options.strength)
            at = int((level + 0.5) / VALIDATION_LEVELS * levels)
            steps = torch.full((len(rows),), at, device=latents.device)
            found = self._mse(self.denoiser, latents, masks, text, noise, steps)
            losses.append(found.item())
        return float(np.mean(losses))

    def exhausted(self) -> bool:
        """Return whether `patience` validations in a row brought nothing better."""
        if self.stale < self.options.patience:
            return False
        log.info("stopping early at step %d: no better on held-out samples", self.session.step)
        return True

    def save(self) -> None:
        """Write everything a resumed run needs; of several processes one does."""
        if not self.accelerator.is_main_process:
            return
        names = self.denoiser.trained()
        state: dict[str, Any] = {"weights": {k: p.detach() for k, p in names.items()}}
        state |= {"optimizer": self.optimizer.state_dict(), "running": self.running}
        state |= {"stale": self.stale, "best_loss": self.best_loss, "best": self.best}
        self.session.save(state | {"history": self.history})

    def _restore(self, denoiser: GuidedDenoiser, optimizer: torch.optim.Optimizer) -> None:
        if (state := self.session.restore()) is None:
            return
        denoiser.load_state_dict(state["weights"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        self.running, self.stale, self.history = state["running"], state["stale"], state["history"]
        self.best_loss, self.best = state["best_loss"], state["best"]

    def result(self, key: str) -> FinetunedModel:
        """Return the best weights seen (the last ones where nothing was held out)."""
        self.denoiser.load_state_dict(self.best, strict=False)
        model = self.denoiser.cpu().eval().requires_grad_(False)
        for network in (model.unet, model.controlnet):
            network.disable_gradient_checkpointing()
        meta = {
            "adapt": self.options.adapt,
            "lora_rank": self.options.lora_rank,
            "base": self.base.fingerprint,
            "key": key,
            "steps": self.session.step,
            "validation_loss": None if math.isnan(self.best_loss) else self.best_loss,
        }
        unet = model.unet if self.options.adapt == "joint" else None
        lora = lora_weights(model.unet) if self.options.adapt == "lora" else None
        return FinetunedModel(model.controlnet, unet, lora, meta)


def _told(row: dict[str, float]) -> dict[str, float]:
    """The metrics of a row of the history, without what was not measured."""
    return {f"finetune.{name}": value for name, value in row.items() if math.isfinite(value)}


def _accelerator(device: torch.device, options: FinetuneOptions) -> Accelerator:
    precision = options.mixed_precision
    if precision == "auto":
        on_gpu = device.type == "cuda"
        precision = ("bf16" if torch.cuda.is_bf16_supported() else "fp16") if on_gpu else "no"
    # Two sessions in one process (a notebook, the tests) may differ in precision.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        mixed_precision=precision,
        gradient_accumulation_steps=options.gradient_accumulation,
        cpu=device.type == "cpu",
    )


def _levels(scheduler: DDIMScheduler, strength: float) -> int:
    """How many noise levels are trained and judged at: those that are sampled."""
    return max(1, round(strength * int(scheduler.config.num_train_timesteps)))


def _draw(table: pd.DataFrame, options: FinetuneOptions, rng: np.random.Generator) -> np.ndarray:
    """Return the crops of one batch: a share of normals, the rest even over defect types."""
    free = ~table["held_out"].to_numpy()
    normal = table["normal"].to_numpy()
    types = table["defect_type"].to_numpy()
    names = np.unique(types[free & ~normal])
    rows = []
    for _ in range(options.batch_size):
        if normal.any() and rng.random() < options.normal_share:
            pool = np.flatnonzero(normal)
        else:
            pool = np.flatnonzero(free & ~normal & (types == names[rng.integers(len(names))]))
        rows.append(int(pool[rng.integers(len(pool))]))
    return np.array(rows)
