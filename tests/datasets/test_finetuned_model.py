"""`FinetunedModelDataset` with a tiny real ControlNet."""

from __future__ import annotations

import pytest
import torch
from diffusers import ControlNetModel
from kedro.io.core import DatasetError, Version

from defectsynth_pipeline.appearance.adaptation import FinetunedModel
from defectsynth_pipeline.datasets import FinetunedModelDataset


@pytest.fixture
def model() -> FinetunedModel:
    torch.manual_seed(0)
    controlnet = ControlNetModel(
        in_channels=4,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        cross_attention_dim=8,
        norm_num_groups=4,
        conditioning_embedding_out_channels=(4, 8),
    )
    return FinetunedModel(controlnet, None, None, {"base": "b", "key": "k"})


class Unwritable(FinetunedModel):
    """Writes a part, then fails, as a kill or a full disk would."""

    def save(self, folder):
        super().save(folder)
        raise OSError("interrupted")


@pytest.fixture
def filepath(tmp_path):
    return (tmp_path / "controlnet").as_posix()


@pytest.fixture
def dataset(filepath):
    return FinetunedModelDataset(filepath=filepath, version=Version(None, "v1"))


def weights(model):
    return model.controlnet.state_dict()


@pytest.mark.parametrize("version", [None, Version(None, "v1")])
def test_save_and_load(filepath, model, version):
    dataset = FinetunedModelDataset(filepath=filepath, version=version)
    assert not dataset.exists()
    dataset.save(model)
    assert dataset.exists()
    loaded = dataset.load()
    assert loaded.meta == model.meta
    torch.testing.assert_close(weights(loaded), weights(model))


def test_no_pickles_and_no_partial_folder_are_left(dataset, tmp_path, model):
    dataset.save(model)
    assert [path.name for path in (tmp_path / "controlnet").iterdir()] == ["v1"]
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes == {".safetensors", ".json"}


def test_an_interrupted_save_is_no_version(dataset, model):
    broken = Unwritable(model.controlnet, None, None, model.meta)
    with pytest.raises(DatasetError, match="interrupted"):
        dataset.save(broken)
    assert not dataset.exists()
    with pytest.raises(DatasetError, match="Did not find any versions"):
        dataset.load()
    dataset.save(model)
    assert dataset.load().meta == model.meta


@pytest.mark.parametrize("harm", ["cut", "missing", "garbage"])
def test_a_broken_model_is_named(dataset, tmp_path, model, harm):
    dataset.save(model)
    (weights,) = tmp_path.rglob("*.safetensors")
    if harm == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:-99] if harm == "cut" else b"x" * 99)
    with pytest.raises(DatasetError, match="a saved model cannot be read") as caught:
        dataset.load()
    assert "controlnet/v1" in str(caught.value)
    assert "--load-versions" in str(caught.value)


def test_saving_a_version_twice_is_refused(dataset, model):
    dataset.save(model)
    with pytest.raises(DatasetError, match="must not exist if versioning is enabled"):
        dataset.save(model)


def test_the_latest_version_is_loaded_unless_one_is_pinned(filepath, model):
    for version in ("v1", "v2"):
        marked = FinetunedModel(model.controlnet, None, None, {"key": version})
        FinetunedModelDataset(filepath=filepath, version=Version(None, version)).save(marked)
    latest = FinetunedModelDataset(filepath=filepath, version=Version(None, None))
    assert latest.load().meta == {"key": "v2"}
    pinned = FinetunedModelDataset(filepath=filepath, version=Version("v1", None))
    assert pinned.load().meta == {"key": "v1"}


def test_description_names_the_path(dataset, filepath):
    assert filepath in str(dataset)
