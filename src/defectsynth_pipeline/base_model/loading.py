"""One loader for every base model, and the words it is told.

The shipped compact one, a diffusers folder or a hub id: all of them are the Stable Diffusion
component classes in the diffusers folder layout, so nothing after this module asks which one it
has.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    DiffusionPipeline,
    UNet2DConditionModel,
)
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from defectsynth_pipeline.base_model.denoising import embed
from defectsynth_pipeline.base_model.soundness import COPY_AGAIN, check_sound
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import PromptOptions

COMPACT = Path(__file__).parent.parent / "assets" / "compact"
WEIGHTED = ("vae", "unet", "text_encoder")
REQUIRED = {
    "vae": ("config.json",),
    "unet": ("config.json",),
    "text_encoder": ("config.json",),
    "tokenizer": ("vocab.json", "tokenizer.json"),
    "scheduler": ("scheduler_config.json",),
}


@dataclass(frozen=True)
class BaseModel:
    """The components of a latent diffusion model, on one device.

    Attributes:
        resolution: Side in pixels of the images the model was trained on.
        latent_factor: Pixels per latent cell (4 for the compact base, 8 for Stable Diffusion).
        fingerprint: Hash of all weights and settings, for manifests and resume keys.
    """

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    controlnet: ControlNetModel | None
    resolution: int
    latent_factor: int
    device: torch.device
    dtype: torch.dtype
    fingerprint: str

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return the scaled latents (B, C, H/f, W/f) of images (B, 3, H, W) in [-1, 1]."""
        pixels = images.to(self.device, self.dtype)
        latents: Tensor = self.vae.encode(pixels).latent_dist.mode()
        return latents * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in [-1, 1] of scaled latents, float32."""
        scaled = latents.to(self.device, self.dtype) / self.vae.config.scaling_factor
        images: Tensor = self.vae.decode(scaled).sample
        return images.float().clamp(-1, 1)

    @torch.no_grad()
    def embed(self, prompts: list[str]) -> Tensor:
        """Return text states (B, 77, D); equal prompts are encoded once."""
        unique = list(dict.fromkeys(prompts))
        states = embed(unique, self.tokenizer, self.text_encoder)
        return states[[unique.index(prompt) for prompt in prompts]]

    def with_networks(
        self, *, controlnet: ControlNetModel, unet: UNet2DConditionModel | None, fingerprint: str
    ) -> BaseModel:
        """Return this model with fine-tuned networks in place of its own."""
        return replace(
            self,
            controlnet=controlnet.to(self.device, self.dtype).eval(),
            unet=self.unet if unet is None else unet.to(self.device, self.dtype).eval(),
            fingerprint=fingerprint,
        )


def load_base_model(model: str | Path, *, device: str = "auto", dtype: str = "auto") -> BaseModel:
    """Load a base model.

    Args:
        model: `compact`, a diffusers folder, or a hub id such as
            `stable-diffusion-v1-5/stable-diffusion-v1-5`.
        device: `auto` takes CUDA where there is one.
        dtype: `auto` is half precision on CUDA, single elsewhere; or `float32`, `float16`, ...

    Raises:
        InputError: The folder is missing, lacks a component, has only pickled weights, is not
            sound (`soundness.check_sound`), or is an inpainting model.
    """
    folder = find_base_model(model)
    where, kind = _device(device), _dtype(dtype, _device(device))
    vae = _load(AutoencoderKL, folder, "vae", kind)
    unet = _load(UNet2DConditionModel, folder, "unet", kind)
    if unet.config.in_channels != vae.config.latent_channels:
        raise InputError(
            "an inpainting model cannot be the base: its network expects more than latents",
            file=folder / "unet" / "config.json",
            value=f"in_channels {unet.config.in_channels}, latents {vae.config.latent_channels}",
            remedy="use the text-to-image model that it was made from",
        )
    controlnet = None
    if (folder / "controlnet").is_dir():
        controlnet = _load(ControlNetModel, folder, "controlnet", kind).to(where)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    return BaseModel(
        vae=vae.to(where),
        unet=unet.to(where),
        text_encoder=_load(CLIPTextModel, folder, "text_encoder", kind).to(where),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
        controlnet=controlnet,
        resolution=int(unet.config.sample_size) * factor,
        latent_factor=factor,
        device=where,
        dtype=kind,
        fingerprint=_fingerprint(folder),
    )


def find_base_model(model: str | Path) -> Path:
    """Return the folder of a base model, fetched from the hub if need be, without loading it.

    Raises:
        InputError: The folder is missing, lacks a component, or has only pickled weights.
    """
    folder = _locate(str(model))
    _check_folder(folder)
    return folder


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        name = "float16" if device.type == "cuda" else "float32"
    kind: torch.dtype = getattr(torch, name)
    return kind


def _load(kind: Any, folder: Path, name: str, dtype: torch.dtype) -> Any:
    variant = "fp16" if not _weights(folder / name) and _weights(folder / name, ".fp16") else None
    module, told = kind.from_pretrained(
        folder / name, variant=variant, use_safetensors=True, output_loading_info=True
    )
    if missing := sorted(told["missing_keys"]):
        raise InputError(
            "weights of the base model are not complete",
            file=folder / name,
            value=f"{len(missing)} tensors are missing, {missing[0]} among them",
            remedy=COPY_AGAIN,
        )
    return module.to(dtype).eval().requires_grad_(False)


def _locate(model: str) -> Path:
    if model == "compact":
        return COMPACT
    if Path(model).is_dir():
        return Path(model)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", model) and not model.startswith("."):
        return _download(model)
    raise InputError(
        "base model folder not found",
        file=model,
        remedy="give `compact`, an existing diffusers folder, or a hub id like owner/name",
    )


def _download(hub_id: str) -> Path:
    try:
        return Path(
            DiffusionPipeline.download(
                hub_id, use_safetensors=True, safety_checker=None, load_safety_checker=False
            )
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"base model cannot be fetched ({error.__class__.__name__}: {str(error)[:200]})",
            value=hub_id,
            remedy="without internet, copy the diffusers folder to this machine and pass "
            "--params=base_model=/path/to/folder",
        ) from error


def _weights(component: Path, variant: str = "") -> list[Path]:
    """Return the component's safetensors, whole or in shards."""
    names = (f"*model{variant}.safetensors", f"*model{variant}-*-of-*.safetensors")
    return sorted(path for name in names for path in component.glob(name))


def _check_folder(folder: Path) -> None:
    for name, settings in REQUIRED.items():
        if not any((folder / name / file).is_file() for file in settings):
            raise InputError(
                "base model lacks a component",
                file=folder,
                value=f"{name}/{settings[0]}",
                remedy="point base_model at a complete diffusers folder "
                f"({', '.join(REQUIRED)}), as written by save_pretrained",
            )
    networks = [*WEIGHTED, *(["controlnet"] if (folder / "controlnet").is_dir() else [])]
    weights = {n: _weights(folder / n) or _weights(folder / n, ".fp16") for n in networks}
    for name, files in weights.items():
        if not files:
            pickles = [*(folder / name).glob("*.bin"), *(folder / name).glob("*.ckpt")]
            raise InputError(
                "base model has only pickled weights, which may run code when opened"
                if pickles
                else "base model has no weights",
                file=folder / name,
                value=pickles[0].name if pickles else "no *.safetensors",
                remedy="convert them on a trusted machine: "
                "pipeline.save_pretrained(folder, safe_serialization=True)",
            )
    check_sound(folder, weights)


@lru_cache
def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".safetensors", ".json", ".txt"} and path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as stream:
                for block in iter(lambda: stream.read(1 << 20), b""):
                    digest.update(block)
    return digest.hexdigest()[:16]


def save_base_model(components: dict[str, Any], folder: Path, card: str) -> None:
    """Write components as a diffusers folder of half-precision safetensors with a model card.

    Args:
        components: vae, unet, controlnet, text_encoder, tokenizer, scheduler.
        folder: Created; must not hold another model.
        card: Text of the model card, README.md.
    """
    index: dict[str, Any] = {"_class_name": "StableDiffusionControlNetInpaintPipeline"}
    for name, component in components.items():
        if isinstance(component, torch.nn.Module):
            component.half()
        component.save_pretrained(folder / name)
        index[name] = [type(component).__module__.split(".")[0], type(component).__name__]
    index |= {key: [None, None] for key in ("safety_checker", "feature_extractor", "image_encoder")}
    index["requires_safety_checker"] = False
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def prompt_for(options: PromptOptions, category: str, defect_type: str) -> str:
    """Return the prompt of a sample; `good` as defect type gives the normal one."""
    template = options.normal if defect_type == "good" else options.defect
    names = {"category": category, "defect_type": defect_type}
    return template.format(**{key: name.replace("_", " ") for key, name in names.items()})
