from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import ResNet18_Weights, resnet18

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.classification import Classification
from defectsynth_pipeline.inspection.localization import Localization
from defectsynth_pipeline.inspection.weights import imagenet_state


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def donor() -> torch.nn.Module:
    torch.manual_seed(5)
    return resnet18(weights=None)


def test_nothing_is_downloaded_where_no_cache_has_it(cache: Path) -> None:
    assert imagenet_state("resnet18", "auto") == (None, "from scratch")
    assert not list(cache.iterdir())


def test_the_cache_is_used(cache: Path, donor: torch.nn.Module) -> None:
    name = ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    torch.save(donor.state_dict(), cache / name)
    model, origin = Localization.build("resnet18", 1, "auto")
    assert origin == "ImageNet, torch cache"
    assert torch.equal(model.encoder.conv1.weight, donor.conv1.weight)
    assert imagenet_state("resnet18", "none") == (None, "from scratch")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_is_used(tmp_path: Path, donor: torch.nn.Module, suffix: str) -> None:
    file = tmp_path / f"resnet18{suffix}"
    if suffix == ".pth":
        torch.save(donor.state_dict(), file)
    else:
        save_file(donor.state_dict(), file)
    model, origin = Localization.build("resnet18", 1, str(file))
    assert origin == f"ImageNet, {file}"
    own = model.encoder.layer4[1].conv2.weight
    assert torch.equal(own, donor.layer4[1].conv2.weight)


def test_weights_of_another_network_name_the_file(tmp_path: Path, donor: torch.nn.Module) -> None:
    file = tmp_path / "other.pth"
    torch.save(donor.state_dict(), file)
    with pytest.raises(InputError, match=r"not those of a resnet34[\s\S]*other\.pth"):
        Classification.build("resnet34", 3, str(file))


@pytest.mark.parametrize("content", [None, b"", b"not a state dict"])
def test_a_bad_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "weights.pth"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.pth"):
        imagenet_state("resnet18", str(file))


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "module.pt"
    torch.save(torch.nn.Linear(2, 2), file)
    with pytest.raises(InputError, match=r"module\.pt"):
        imagenet_state("resnet18", str(file))
