"""What fine-tuning leaves goes to disk and back, and fits its own base only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from defectsynth_pipeline.appearance.adaptation import FinetunedModel, add_lora
from defectsynth_pipeline.appearance.crops import Crops
from defectsynth_pipeline.base_model.loading import BaseModel
from refusals import refused
from small_models import TRAINING, adapted, changed


@pytest.fixture(scope="module", params=["frozen", "joint", "lora"])
def model(
    request: pytest.FixtureRequest,
    small: BaseModel,
    crops: Crops,
    tmp_path_factory: pytest.TempPathFactory,
) -> FinetunedModel:
    options = changed(TRAINING, adapt=request.param, steps=2, learning_rate=0.01)
    return adapted(small, crops, options, tmp_path_factory.mktemp("checkpoints"))[0]


def predict(base: BaseModel) -> torch.Tensor:
    """The UNet alone, so that a change of the ControlNet does not show."""
    noisy = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    text = base.embed(["a dent"])
    with torch.no_grad():
        return base.unet(noisy, torch.tensor([500]), encoder_hidden_states=text).sample


def test_what_was_saved_is_loaded(model: FinetunedModel, small: BaseModel, tmp_path: Path) -> None:
    model.save(tmp_path / "v1")
    loaded = FinetunedModel.load(tmp_path / "v1")
    assert loaded.meta == model.meta
    assert model.meta["base"] == small.fingerprint
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes == {".safetensors", ".json"}
    one, other = loaded.attach(small), model.attach(small)
    assert torch.equal(predict(one), predict(other))
    assert one.fingerprint == other.fingerprint
    for name, value in model.controlnet.state_dict().items():
        assert torch.equal(loaded.controlnet.state_dict()[name], value)


def test_the_unet_changes_unless_it_is_frozen(model: FinetunedModel, small: BaseModel) -> None:
    before = predict(small)
    attached = model.attach(small)
    assert torch.equal(predict(small), before)
    difference = (predict(attached) - before).abs().max()
    assert (difference > 1e-4) == (model.meta["adapt"] != "frozen")
    assert attached.controlnet is not None
    assert not attached.controlnet.training
    assert attached.fingerprint != small.fingerprint


def test_a_fresh_adapter_changes_nothing(small: BaseModel) -> None:
    fresh = replace(small, unet=add_lora(small.unet, 4))
    torch.testing.assert_close(predict(fresh), predict(small))


def test_another_base_is_refused(model: FinetunedModel, sd15: BaseModel) -> None:
    with refused("another base model", sd15.fingerprint, model.meta["base"], remedy="base_model"):
        model.attach(sd15)
