"""Does fine-tuning Stable Diffusion 1.5 with a ControlNet fit on a card? Nothing is allocated.

The real architecture is built on torch's meta device, and what autograd would keep for the backward
pass is counted. Prints one JSON in GB: weights, gradients and optimizer states for the options of
`--env=sd15`; activations for some batch sizes, all kept (`whole`), and with gradient checkpointing:
what is kept between units, and the largest unit, a residual or a transformer block, computed anew.
Attention is counted as if its matrices were kept, which fused kernels on a GPU do not do.

    python benchmarks/memory.py
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from diffusers import ControlNetModel, Transformer2DModel, UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D

CONF = Path(__file__).resolve().parents[1] / "conf/sd15/parameters_sd15.yml"
SIDE, TEXT = 64, (77, 768)  # latents of 512 px; CLIP's states
HALF = torch.bfloat16


class Kept(NamedTuple):
    """GB that a forward pass keeps: in all, and in its largest residual or transformer block."""

    total: float
    largest: float


def networks() -> tuple[Any, Any]:
    """SD 1.5's UNet and its ControlNet, without memory."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=TEXT[1], sample_size=SIDE)
        controlnet = ControlNetModel(cross_attention_dim=TEXT[1])
    return unet.to(HALF).train().requires_grad_(False), controlnet.to(HALF).train()


def activations(unet: Any, controlnet: Any, batch: int, *, checkpointing: bool) -> Kept:
    """What a forward pass keeps for its backward pass."""
    inside: list[str] = []
    sizes: dict[str, float] = defaultdict(float)
    kept: dict[int, torch.Tensor] = {}  # what is kept stays alive, so that no id comes twice

    def pack(value: torch.Tensor) -> torch.Tensor:
        if not isinstance(value, torch.nn.Parameter) and id(value) not in kept:
            kept[id(value)] = value
            sizes[inside[-1] if inside else ""] += value.numel() * value.element_size() / 1e9
        return value

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, device="meta", dtype=HALF)

    hooks = []
    for network in (unet, controlnet):
        if checkpointing:
            network.enable_gradient_checkpointing()
        else:
            network.disable_gradient_checkpointing()
        for name, module in network.named_modules():
            if isinstance(module, (ResnetBlock2D, Transformer2DModel)):
                unit = f"{type(network).__name__}.{name}"
                hooks.append(module.register_forward_pre_hook(lambda *_, u=unit: inside.append(u)))
                hooks.append(module.register_forward_hook(lambda *_: inside.pop() and None))
    given = zeros(batch, 4, SIDE, SIDE), torch.zeros(batch, device="meta"), zeros(batch, *TEXT)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        down, middle = controlnet(*given, zeros(batch, 3, 8 * SIDE, 8 * SIDE), return_dict=False)
        unet(
            *given,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        )
    for hook in hooks:
        hook.remove()
    return Kept(sum(sizes.values()), max(size for unit, size in sizes.items() if unit))


def plan() -> dict[str, Any]:
    """All numbers, in GB."""
    options = yaml.safe_load(CONF.read_text(encoding="utf-8"))["finetune"]
    unet, controlnet = networks()
    frozen, learned = (sum(p.numel() for p in n.parameters()) / 1e9 for n in (unet, controlnet))
    fixed = {"unet": 2 * frozen, "controlnet": 4 * learned, "gradients": 4 * learned}
    fixed["optimizer"] = 8 * learned  # two moments
    found = {}
    for batch in (1, 2, 4):
        whole = activations(unet, controlnet, batch, checkpointing=False)
        few = activations(unet, controlnet, batch, checkpointing=True)
        # A checkpointed unit is computed anew when its turn comes, one at a time.
        found[str(batch)] = {"whole": whole.total, "checkpointed": few.total + whole.largest}
    way = "checkpointed" if options["gradient_checkpointing"] else "whole"
    batch_size = options["batch_size"]
    total = sum(fixed.values()) + found[str(batch_size)][way]
    return {"total": total, "batch_size": batch_size, "fixed": fixed, "activations": found}


if __name__ == "__main__":
    text = json.dumps(plan(), indent=1)
    rounded = json.loads(text, parse_float=lambda value: round(float(value), 2))
    sys.stdout.write(json.dumps(rounded, indent=1) + "\n")
