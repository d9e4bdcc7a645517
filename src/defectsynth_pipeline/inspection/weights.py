"""ImageNet weights for the detectors' ResNets: from a cache or a file, never from the network."""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, ResNet34_Weights

from defectsynth_pipeline.errors import InputError

log = logging.getLogger(__name__)
FROM_SCRATCH = "from scratch"
_PUBLISHED = {
    "resnet18": ResNet18_Weights.IMAGENET1K_V1,
    "resnet34": ResNet34_Weights.IMAGENET1K_V1,
}
_LAST = "fc."  # the classification layer
_REMEDY = "give a torchvision state dict of this network (.pth or .safetensors), 'auto' or 'none'"


def weights_file(network: str, weights: str) -> Path | None:
    """Return the file that `imagenet_state` reads, or None where training starts from scratch.

    Raises:
        InputError: The file is missing.
    """
    if weights not in ("none", "auto"):
        file = Path(weights).expanduser()
        if not file.is_file():
            raise InputError("there are no weights here", file=file, remedy=_REMEDY)
        return file
    published = PurePosixPath(urlparse(_PUBLISHED[network].url).path).name
    cached = Path(torch.hub.get_dir()) / "checkpoints" / published
    return cached if weights == "auto" and cached.is_file() else None


def imagenet_state(network: str, weights: str) -> tuple[dict[str, Tensor] | None, str]:
    """Find the ImageNet weights of a ResNet.

    Args:
        network: "resnet18" or "resnet34".
        weights: "none"; "auto", which takes torchvision's file where torch's cache holds it; or
            the path of a state dict, `.safetensors` or anything `torch.load` reads without
            unpickling code.

    Returns:
        The state without the classification layer, None where training starts from scratch, and
        where it comes from, in words for the report.

    Raises:
        InputError: The file is missing or is no state dict.
    """
    file = weights_file(network, weights)
    if file is None:
        return None, FROM_SCRATCH
    return _read(file), f"ImageNet, {'torch cache' if weights == 'auto' else weights}"


def load_imagenet(module: nn.Module, network: str, weights: str) -> str:
    """Load the ImageNet weights of a ResNet into a module and say where they come from.

    Args:
        module: A torchvision ResNet or an encoder with the same names; its classification
            layer, if it has one, keeps its own values.
        network: "resnet18" or "resnet34".
        weights: As `imagenet_state`.

    Raises:
        InputError: As `imagenet_state`, or the state belongs to another network.
    """
    state, origin = imagenet_state(network, weights)
    if state is None:
        return origin
    own = {name: value for name, value in module.state_dict().items() if not name.startswith(_LAST)}
    # Old files lack the step counters of batch normalisation, which only matter without momentum.
    needed = {name for name in own if not name.endswith("num_batches_tracked")}
    wrong = sorted((needed - set(state)) | (set(state) - set(own)))
    wrong += sorted(n for n in needed & set(state) if own[n].shape != state[n].shape)
    if wrong:
        raise InputError(
            f"the weights are not those of a {network}",
            file=weights,
            value=f"{len(wrong)} layers missing, unknown or of another shape, e.g. {wrong[0]}",
            remedy=_REMEDY,
        )
    module.load_state_dict(state, strict=False)
    return origin


def _read(file: Path) -> dict[str, Tensor]:
    try:
        state: Any = (
            load_file(file)
            if file.suffix == ".safetensors"
            else torch.load(file, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # zip, pickle and safetensors each raise their own kinds
        raise InputError(
            "the weights cannot be read", file=file, value=error, remedy=_REMEDY
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(
            "the file holds no state dict", file=file, value=type(state).__name__, remedy=_REMEDY
        )
    log.info("weights from %s", file.name)
    return {
        name: value
        for name, value in ((n.removeprefix("module."), v) for n, v in state.items())
        if not name.startswith(_LAST)
    }
