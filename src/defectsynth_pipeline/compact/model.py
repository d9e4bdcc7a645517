"""The trained compact base as an artifact: weights, model card, and a picture to judge it by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from defectsynth_pipeline.base_model.denoising import denoise, embed
from defectsynth_pipeline.base_model.loading import save_base_model
from defectsynth_pipeline.compact.networks import build_tokenizer
from defectsynth_pipeline.compact.pretraining import draw, to_images, to_masks
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import PretrainOptions
from defectsynth_pipeline.resumable import load_checkpoint

CARD = """# Compact latent-diffusion base of defectsynth_pipeline

- **Classes**: AutoencoderKL (f=4, 8 latent channels), UNet2DConditionModel (v-prediction, zero
  terminal SNR), ControlNetModel, CLIPTextModel, CLIPTokenizer, DDIMScheduler
- **Parameters**: {parameters}
- **Trained on** procedural surfaces and defects only (`compact/scenes.py`): no
  photograph, no third-party weights
- **Recipe**: `kedro run --pipeline=pretrain` with `{options}`
- **Seed**: {seed}
- **Duration**: {vae_hours:.2f} h autoencoder + {denoiser_hours:.2f} h UNet, ControlNet and text
  encoder, on {threads} CPU threads
- **Held-out reconstruction**: {psnr:.1f} dB PSNR on 256 scenes of seed {held_seed}
- **Hash**: sha256 `{digest}` over the float16 tensors, component by component
- **Licence**: MIT, as the project

A base to be fine-tuned on a user's own images: it knows what surfaces and defects look like in
general, follows masks, and works at 64 x 64 px. It is no generator of photographs by itself.
"""


@dataclass(frozen=True)
class CompactModel:
    """A trained compact base, ready to be written as a diffusers folder.

    Attributes:
        components: vae, unet, controlnet, text_encoder, tokenizer, scheduler.
        card: The model card.
    """

    components: dict[str, Any]
    card: str

    @classmethod
    def trained(
        cls, components: dict[str, Any], options: PretrainOptions, checkpoints: Path
    ) -> CompactModel:
        """Describe freshly trained components; durations are read from the checkpoints."""
        counts = {
            name: sum(p.numel() for p in part.parameters())
            for name, part in components.items()
            if isinstance(part, torch.nn.Module)
        }
        card = CARD.format(
            parameters=", ".join(f"{name} {n / 1e6:.2f} M" for name, n in counts.items()),
            options=options.model_dump_json(),
            seed=options.seed,
            vae_hours=_hours(checkpoints / "vae.pt"),
            denoiser_hours=_hours(checkpoints / "denoiser.pt"),
            threads=torch.get_num_threads(),
            psnr=held_out_psnr(components["vae"], options.seed),
            held_seed=options.seed + 1,
            digest=digest(components),
        )
        return cls(components, card)

    def save(self, folder: Path) -> None:
        """Write the diffusers folder, float16 safetensors."""
        save_base_model(self.components, folder, self.card)
        # Older transformers read the vocabulary from these two files, newer ones write one.
        build_tokenizer(folder / "tokenizer")


def _hours(checkpoint: Path) -> float:
    state = load_checkpoint(checkpoint)
    if state is None:
        raise InputError(
            "checkpoint of the finished training is gone",
            file=checkpoint,
            remedy="run the pretrain pipeline again",
        )
    return float(state["seconds"]) / 3600


@torch.no_grad()
def held_out_psnr(vae: Any, seed: int) -> float:
    """Return the autoencoder's PSNR in dB on 256 scenes that training did not draw."""
    images = to_images(draw(seed + 1, 0, 0, 256))
    restored = vae.decode(vae.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
    mean_square = ((restored - images) / 2).square().mean()
    return float(-10 * torch.log10(mean_square))


def digest(components: dict[str, Any]) -> str:
    """Return the sha256 of all weights as float16, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(components):
        if isinstance(components[name], torch.nn.Module):
            for key, tensor in sorted(components[name].state_dict().items()):
                total.update(f"{name}.{key}".encode())
                if tensor.is_floating_point():
                    total.update(tensor.half().contiguous().numpy().tobytes())
    return total.hexdigest()


@torch.no_grad()
def preview(components: dict[str, Any], options: PretrainOptions, count: int = 12) -> Figure:
    """Draw held-out scenes: the scene, its reconstruction, its mask, and a sample from noise."""
    scenes = draw(options.seed + 1, 2, 0, count)
    images, masks = to_images(scenes), to_masks(scenes)
    vae = components["vae"]
    restored = vae.decode(vae.encode(images).latent_dist.mode()).sample
    captions = [s.caption for s in scenes]
    text = embed(captions, components["tokenizer"], components["text_encoder"])
    made = vae.decode(_sample(components, text, masks, options.seed)).sample
    figure = Figure(figsize=(count, 4.4), layout="constrained")
    axes = figure.subplots(4, count)
    rows = (images, restored, masks.repeat(1, 3, 1, 1) * 2 - 1, made)
    for line, (name, row) in enumerate(
        zip(("scene", "autoencoder", "mask", "from noise"), rows, strict=True)
    ):
        for column, picture in enumerate(row):
            shown = ((picture + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy()
            axes[line, column].imshow(np.asarray(shown))
            axes[line, column].set(xticks=[], yticks=[])
        axes[line, 0].set_ylabel(name)
    return figure


def _sample(components: dict[str, Any], text: Tensor, masks: Tensor, seed: int) -> Tensor:
    scheduler = components["scheduler"]
    scheduler.set_timesteps(20)
    latents = torch.randn(
        (len(masks), 8, *(side // 4 for side in masks.shape[-2:])),
        generator=torch.Generator().manual_seed(seed),
    )
    control = masks.repeat(1, 3, 1, 1)
    for t in scheduler.timesteps:
        steps = t.expand(len(latents))
        v = denoise(components["unet"], components["controlnet"], latents, steps, text, control)
        latents = scheduler.step(v, t, latents).prev_sample
    return latents
