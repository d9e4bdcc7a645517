"""Is a base model's folder whole? Told from its files, before any network is built.

A run that finds out later has spent its hour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors import SafetensorError, safe_open
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from defectsynth_pipeline.errors import InputError

COPY_AGAIN = "copy this component again from where the model is from"
_NETWORKS = {"vae": AutoencoderKL, "unet": UNet2DConditionModel, "controlnet": ControlNetModel}
_SETTINGS = {"scheduler": "scheduler_config.json"}


def check_sound(folder: Path, weights: Mapping[str, Sequence[Path]]) -> None:
    """Read settings, weights and tokenizer of a base model, and see whether they fit together.

    Args:
        folder: Of the base model; holds every component.
        weights: Safetensors of every network, by component.

    Raises:
        InputError: Settings or weights are broken, weights are not numbers, not complete, have
            another shape than the settings say, or components do not fit together.
    """
    configs = {
        name: _settings(folder / name / _SETTINGS.get(name, "config.json"))
        for name in (*weights, "scheduler")
    }
    for name, files in weights.items():
        shapes: dict[str, tuple[int, ...]] = {}
        for file in files:
            stat = file.stat()
            shapes |= _shapes(file, stat.st_size, stat.st_mtime_ns)
        _check_shapes(folder / name, configs[name], shapes)
    _check_tokenizer(folder / "tokenizer", configs["text_encoder"])
    _check_widths(folder, configs)


def _settings(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
        problem: object = f"a {type(found).__name__}, not an object"
    except (OSError, ValueError) as error:
        problem = error
    raise InputError(
        "the settings of a base model's component are broken",
        file=file,
        value=problem,
        remedy=COPY_AGAIN,
    )


@lru_cache(maxsize=64)
def _shapes(file: Path, size: int, time: int) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a file, all of whose numbers are finite; by the file's stamp."""
    shapes = {}
    try:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (it is no mapping)
                tensor = tensors.get_tensor(name)
                shapes[name] = tuple(tensor.shape)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    raise InputError(
                        "weights of the base model are not numbers",
                        file=file,
                        value=f"{name}: nan or inf",
                        remedy=COPY_AGAIN + "; if it was trained, take an earlier checkpoint",
                    )
    except (SafetensorError, OSError) as error:
        raise InputError(
            "weights of the base model are truncated, or no safetensors at all",
            file=file,
            value=f"{size} bytes, {error}",
            remedy=COPY_AGAIN,
        ) from error
    return shapes


def _check_shapes(
    component: Path, config: dict[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Compare tensors with what the settings build; loading translates old names, one to one."""
    try:
        with torch.device("meta"):
            kind = _NETWORKS.get(component.name)
            network = kind.from_config(config) if kind else _text_encoder(config)
    except Exception as error:  # the libraries raise many kinds
        raise InputError(
            "no network can be built from the settings of a base model's component",
            file=component / "config.json",
            value=" ".join(str(error).split())[:200],
            remedy=COPY_AGAIN,
        ) from error
    wanted = dict(network.named_parameters())
    if (lacking := len(wanted) - len(shapes)) > 0:
        raise InputError(
            "weights of the base model are not complete",
            file=component,
            value=f"{lacking} tensors are missing; not there: {min(wanted.keys() - shapes.keys())}",
            remedy=COPY_AGAIN,
        )
    for name, tensor in network.state_dict().items():
        found = shapes.get(name, tuple(tensor.shape))
        if found != tuple(tensor.shape):
            raise InputError(
                "weights of the base model have another width than its settings say",
                file=component / "config.json",
                value=f"{name}: weights {found}, settings {tuple(tensor.shape)}",
                remedy="take settings and weights of one model",
            )


def _text_encoder(config: dict[str, Any]) -> CLIPTextModel:
    return CLIPTextModel(CLIPTextConfig(**config))


def _check_tokenizer(folder: Path, text_encoder: dict[str, Any]) -> None:
    known = int(text_encoder.get("vocab_size", 0))
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder)
        words = set(tokenizer("a photo of a surface").input_ids) - set(tokenizer.all_special_ids)
        problem: object = "" if words else f"{len(tokenizer)} entries, no word among them"
    except Exception as error:  # the libraries raise many kinds
        words, problem = set(), " ".join(str(error).split())[:200]
    if problem:
        raise InputError(
            "the tokenizer of the base model is empty or broken",
            file=folder,
            value=problem,
            remedy=COPY_AGAIN,
        )
    if max(words) >= known:
        raise InputError(
            "the tokenizer of the base model has more words than its text encoder",
            file=folder,
            value=f"word {max(words)} of {known}",
            remedy="take tokenizer and text encoder of one model",
        )


def _check_widths(folder: Path, configs: Mapping[str, dict[str, Any]]) -> None:
    """Compare what two components share: the width of the text, and the ControlNet's blocks."""
    shared = [("text_encoder", "hidden_size", "cross_attention_dim")]
    if "controlnet" in configs:
        same = ("cross_attention_dim", "block_out_channels", "in_channels")
        shared += [("controlnet", key, key) for key in same]
    for name, key, of_unet in shared:
        own, wanted = configs[name].get(key), configs["unet"].get(of_unet)
        # Settings that are left out have the library's default, which the shapes were compared to.
        if own is not None and wanted is not None and own != wanted:
            raise InputError(
                "two components of the base model do not fit together",
                file=folder / name / "config.json",
                value=f"{key} {own}, {of_unet} {wanted} in unet/config.json",
                remedy="take all components of one model",
            )
