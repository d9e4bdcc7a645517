"""Does fine-tuning Stable Diffusion 1.5 with a ControlNet fit on a card? Nothing is allocated.

The real architecture is built on torch's meta device, and what autograd would keep for the backward
pass is counted. Prints one JSON in GB: weights, gradients and optimizer states for the options of
`--env=sd15`; activations, with gradient checkpointing and without, for some batch sizes. Attention
is counted as if its matrices were kept, which fused kernels on a GPU do not do; what a checkpointed
block takes while it is computed anew is its own activations, `largest_block` at most.

    python benchmarks/memory.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from diffusers import ControlNetModel, UNet2DConditionModel

CONF = Path(__file__).resolve().parents[1] / "conf/sd15/parameters_sd15.yml"
SIDE, TEXT = 64, (77, 768)  # latents of 512 px; CLIP's states
HALF = torch.bfloat16


def networks() -> tuple[Any, Any]:
    """SD 1.5's UNet and its ControlNet, without memory."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=TEXT[1], sample_size=SIDE)
        controlnet = ControlNetModel(cross_attention_dim=TEXT[1])
    return unet.to(HALF).train().requires_grad_(False), controlnet.to(HALF).train()


def activations(unet: Any, controlnet: Any, batch: int, *, checkpointing: bool) -> float:
    """GB that a forward pass keeps for its backward pass."""
    for network in (unet, controlnet):
        if checkpointing:
            network.enable_gradient_checkpointing()
        else:
            network.disable_gradient_checkpointing()
    kept: dict[int, tuple[torch.Tensor, int]] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        if not isinstance(value, torch.nn.Parameter):
            kept[id(value)] = value, value.numel() * value.element_size()
        return value

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, device="meta", dtype=HALF)

    given = zeros(batch, 4, SIDE, SIDE), torch.zeros(batch, device="meta"), zeros(batch, *TEXT)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        down, middle = controlnet(*given, zeros(batch, 3, 8 * SIDE, 8 * SIDE), return_dict=False)
        unet(
            *given,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        )
    return sum(size for _, size in kept.values()) / 1e9


def plan() -> dict[str, Any]:
    """All numbers, in GB."""
    options = yaml.safe_load(CONF.read_text(encoding="utf-8"))["finetune"]
    unet, controlnet = networks()
    frozen, learned = (sum(p.numel() for p in n.parameters()) / 1e9 for n in (unet, controlnet))
    fixed = {"unet": 2 * frozen, "controlnet": 4 * learned, "gradients": 4 * learned}
    fixed["optimizer"] = 8 * learned  # two moments
    by_batch = {
        str(batch): {
            name: activations(unet, controlnet, batch, checkpointing=checkpointing)
            for name, checkpointing in (("whole", False), ("checkpointed", True))
        }
        for batch in (1, 2, 4)
    }
    batch = str(options["batch_size"])
    way = "checkpointed" if options["gradient_checkpointing"] else "whole"
    blocks = len(unet.down_blocks) + len(unet.up_blocks)
    largest = 4 * by_batch[batch]["whole"] / blocks  # none has more than four times the mean
    total = sum(fixed.values()) + by_batch[batch][way] + (largest if way == "checkpointed" else 0)
    return {
        "total": total,
        "batch_size": int(batch),
        "fixed": fixed,
        "activations": by_batch,
        "largest_block": largest,
    }


if __name__ == "__main__":
    text = json.dumps(plan(), indent=1)
    rounded = json.loads(text, parse_float=lambda value: round(float(value), 2))
    sys.stdout.write(json.dumps(rounded, indent=1) + "\n")
