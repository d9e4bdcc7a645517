"""The recipe of the shipped base, two steps of each part, killed and resumed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from defectsynth_pipeline.base_model.loading import load_base_model
from defectsynth_pipeline.compact import networks as compact
from defectsynth_pipeline.compact.model import CompactModel, digest, preview
from defectsynth_pipeline.compact.pretraining import (
    draw,
    moving_average,
    recoloured,
    reconstruction_loss,
    to_images,
    to_masks,
    train_denoiser,
    train_vae,
)
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import PretrainOptions

OPTIONS = PretrainOptions(
    vae_steps=2, unet_steps=2, vae_batch_size=2, unet_batch_size=2, checkpoint_every=1
)


class Killed(Exception):
    """Stands for the kill of a run."""


def ignore(step: int, values: dict[str, float]) -> None:
    """Curves go nowhere."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pretrain")


@pytest.fixture(scope="module")
def components(folder: Path) -> dict:
    vae = train_vae(OPTIONS, folder, ignore)
    return train_denoiser(vae, OPTIONS, folder, ignore)


@contextmanager
def dying_at(step: int) -> Iterator[None]:
    """Let drawing the scenes of a training step fail."""

    def dying(seed: int, stage: int, at: int, count: int):
        if stage in {0, 2} and at == step:
            raise Killed
        return draw(seed, stage, at, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("defectsynth_pipeline.compact.pretraining.draw", dying)
        yield


def test_a_killed_pretraining_ends_as_the_straight_one(components: dict, tmp_path: Path) -> None:
    with pytest.raises(Killed), dying_at(1):
        train_vae(OPTIONS, tmp_path, ignore)
    vae = train_vae(OPTIONS, tmp_path, ignore)
    with pytest.raises(Killed), dying_at(1):
        train_denoiser(vae, OPTIONS, tmp_path, ignore)
    resumed = train_denoiser(vae, OPTIONS, tmp_path, ignore)
    assert digest(resumed) == digest(components)


def test_finished_parts_are_not_trained_again(components: dict, folder: Path) -> None:
    before = digest(components)
    with dying_at(0):
        vae = train_vae(OPTIONS, folder, ignore)
        assert digest(train_denoiser(vae, OPTIONS, folder, ignore)) == before


def test_latents_are_standardised(components: dict) -> None:
    images = to_images(draw(OPTIONS.seed, 1, 0, 512))
    with torch.no_grad():
        latents = components["vae"].encode(images).latent_dist.mode()
    assert latents.mean((0, 2, 3)).abs().max() < 0.02
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(8), atol=0.02, rtol=0)


def test_standardising_keeps_the_pictures() -> None:
    torch.manual_seed(0)
    vae = compact.build_vae().eval()
    images = to_images(draw(0, 0, 0, 4))
    with torch.no_grad():
        before = vae.decode(vae.encode(images).latent_dist.mode()).sample
        mean, std = torch.randn(8), torch.rand(8) + 0.5
        compact.standardise_latents(vae, mean, std)
        after = vae.decode(vae.encode(images).latent_dist.mode()).sample
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_what_is_saved_is_a_base_model(components: dict, folder: Path, tmp_path: Path) -> None:
    figure = preview(components, OPTIONS, count=2)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 8
    model = CompactModel.trained(components, OPTIONS, folder)
    for part in ("0.00 h", "dB PSNR", '"unet_steps":2', '"seed":0', digest(components)):
        assert part in model.card
    model.save(tmp_path / "v1")
    base = load_base_model(tmp_path / "v1", device="cpu")
    assert (base.resolution, base.latent_factor) == (64, 4)
    assert base.controlnet is not None
    assert base.scheduler.config.prediction_type == "v_prediction"
    assert base.scheduler.config.rescale_betas_zero_snr
    assert base.embed(["a photo of wood with crack"]).shape == (1, 77, 64)
    card = (tmp_path / "v1" / "README.md").read_text()
    names = ("vae", "unet", "controlnet", "text_encoder")
    assert digest({name: getattr(base, name) for name in names}) in card
    assert sum(p.stat().st_size for p in (tmp_path / "v1").rglob("*") if p.is_file()) < 20e6


def test_the_card_needs_the_checkpoints(components: dict, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"checkpoint[\s\S]*vae\.pt[\s\S]*pretrain"):
        CompactModel.trained(components, OPTIONS, tmp_path)


def test_scenes_depend_on_their_place_alone() -> None:
    three, two = draw(0, 2, 7, 3), draw(0, 2, 7, 2)
    assert np.array_equal(three[1].image, two[1].image)
    assert not np.array_equal(three[0].image, draw(0, 2, 8, 1)[0].image)
    images, masks = to_images(three), to_masks(three)
    assert images.shape == (3, 3, 64, 64)
    assert -1 <= images.min() < images.max() <= 1
    assert masks.shape == (3, 1, 64, 64)
    assert set(masks.unique().tolist()) <= {0.0, 1.0}


def test_half_of_the_images_get_a_colour_cast() -> None:
    images = to_images(draw(0, 0, 0, 40))
    cast = recoloured(images, seed=3)
    assert torch.equal(recoloured(images, seed=3), cast)
    assert -1 <= cast.min() < cast.max() <= 1
    untouched = sum(torch.equal(a, b) for a, b in zip(images, cast, strict=True))
    assert 8 < untouched < 32


def test_the_reconstruction_loss_punishes_lost_colour_more_than_the_same_error_in_grey() -> None:
    images = torch.zeros(1, 3, 16, 16)
    assert reconstruction_loss(images, images) == 0
    grey, tinted = images + 0.1, images.clone()
    tinted[:, 0] += 0.15
    tinted[:, 1] -= 0.15
    same = (grey - images).abs().mean() == pytest.approx((tinted - images).abs().mean().item())
    assert same
    assert reconstruction_loss(images, tinted) > reconstruction_loss(images, grey)


def test_the_average_starts_at_the_weights_and_lags_behind_them() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    average = moving_average(module, decay=0.9)
    module.weight.data.fill_(1.0)
    average.step(module.parameters())
    (shadow,) = average.shadow_params
    assert shadow.item() == pytest.approx(1 - 2 / 11)  # warm-up: (1 + 1) / (10 + 1)
    average.step(module.parameters())
    assert shadow.item() == pytest.approx(1 - 2 / 11 * 3 / 12)
    module.weight.data.fill_(5.0)
    average.copy_to(module.parameters())
    assert module.weight.item() == shadow.item()
