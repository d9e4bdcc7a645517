"""What sees images when their quality is measured, and which weights it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import nn
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision.models import alexnet, resnet18

from defectsynth_pipeline.features.extractors import (
    INCEPTION_FILES,
    LPIPS_FILES,
    choose_extractor,
    find_weights,
    lite0,
    paper_networks,
    perceptual,
)
from defectsynth_pipeline.imaging.pixels import resize
from refusals import refused

BELL_COTE = 442  # of the 1,000 classes


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    flower, china = (load_sample_image(f"{name}.jpg") for name in ("flower", "china"))
    return np.stack([flower[100:356, 200:456], resize(china, (256, 256)).astype(np.uint8)])


@pytest.fixture(scope="module")
def alex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AlexNet without training, as torchvision saves one."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("alex") / "alex.pth"
    features = {f"features.{n}": v for n, v in alexnet(weights=None).features.state_dict().items()}
    torch.save(features, file)
    return file


def test_without_weights_the_judges_encoder_sees_and_nothing_is_downloaded(
    cache: Path, pictures: np.ndarray
) -> None:
    extractor = choose_extractor()
    assert not list(cache.iterdir())
    assert "Lite0" in extractor.name
    assert "LPIPS-like" in extractor.distance
    assert not extractor.of_paper
    features, logits, vectors = extractor.see(pictures)
    assert features.shape == (2, 1280)
    assert logits.shape == (2, 1000)
    assert BELL_COTE in logits[1].topk(5).indices
    assert len(vectors) == 2


def test_a_perceptual_distance_grows_with_the_change(pictures: np.ndarray) -> None:
    flower = pictures[0]
    noise = np.random.default_rng(0).normal(0, 1, flower.shape)
    changed = [np.clip(flower + size * noise, 0, 255).astype(np.uint8) for size in (0, 8, 40)]
    _, _, vectors = lite0().see(np.stack([flower, *changed]))
    steps = ((vectors[1:] - vectors[0]) ** 2).sum(1)
    assert steps[0] == 0
    assert 0 < steps[1] < steps[2] < 2


def test_lpips_is_torchmetrics_own(pictures: np.ndarray, alex: Path) -> None:
    judge = _LPIPS(net="alex", pnet_rand=True)
    state = torch.load(alex, weights_only=True)
    own = {n: state["features." + n.partition(".")[2]] for n in judge.net.state_dict()}
    judge.net.load_state_dict(own)
    first, second = (torch.tensor(p).permute(2, 0, 1)[None] / 127.5 - 1 for p in pictures)
    with torch.no_grad():
        wanted = float(judge.eval()(first, second))
    vectors = perceptual(alex, "alex")(pictures)
    assert float(((vectors[0] - vectors[1]) ** 2).sum()) == pytest.approx(wanted, rel=1e-4)


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "resnet.pth"
    torch.save(resnet18(weights=None).state_dict(), file)
    with refused("weights are not those of the AlexNet", file.name, remedy="none"):
        perceptual(file, "alex")


def test_one_network_of_two_is_refused(cache: Path, alex: Path) -> None:
    with refused("only one of two networks", alex.name, "quality.inception: auto"):
        find_weights("auto", str(alex), "alex")
    with refused("there are no weights here", "nowhere.pth"):
        find_weights("nowhere.pth", "auto", "alex")
    with refused("only one of two networks", "quality.inception: none"):
        find_weights("none", str(alex), "alex")


def test_the_cache_serves_where_it_holds_both(cache: Path) -> None:
    pytest.importorskip("torch_fidelity")
    (cache / LPIPS_FILES["alex"]).touch()
    assert find_weights("auto", "auto", "alex") is None
    (cache / INCEPTION_FILES[1]).touch()
    assert find_weights("auto", "auto", "alex") == (
        cache / INCEPTION_FILES[1],
        cache / LPIPS_FILES["alex"],
    )
    assert find_weights("auto", "none", "alex") is None


def test_the_papers_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alex: Path, pictures: np.ndarray
) -> None:
    inception = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    with monkeypatch.context() as patch:  # a network without training: none can be downloaded
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
        model = inception.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    file = tmp_path / "inception.pth"
    torch.save(model.state_dict(), file)
    extractor = paper_networks(file, alex, "alex")
    assert (extractor.name, extractor.distance) == ("Inception of FID", "LPIPS, AlexNet")
    features, logits, _ = extractor.see(pictures)
    assert (features.shape, logits.shape) == ((2, 2048), (2, 1008))
    with refused("weights are not those of the Inception of FID", alex.name):
        paper_networks(alex, alex, "alex")
