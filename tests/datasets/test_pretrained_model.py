"""`PretrainedModelDataset`; the loader itself is tested with the appearance room."""

from __future__ import annotations

import pytest
from kedro.io.core import DatasetError

from defectsynth_pipeline.datasets import PretrainedModelDataset


def test_a_missing_folder_is_named(tmp_path):
    missing = (tmp_path / "no model").as_posix()
    with pytest.raises(DatasetError) as caught:
        PretrainedModelDataset(model=missing).load()
    assert missing in str(caught.value)
    assert "remedy: " in str(caught.value)


def test_a_folder_that_is_no_model_is_named(tmp_path):
    (tmp_path / "unet").mkdir()
    with pytest.raises(DatasetError) as caught:
        PretrainedModelDataset(model=tmp_path.as_posix()).load()
    assert tmp_path.as_posix() in str(caught.value)
    assert "remedy: " in str(caught.value)


def test_saving_is_refused():
    with pytest.raises(DatasetError, match="read only"):
        PretrainedModelDataset(model="compact").save("weights")


def test_description_names_model_and_arguments():
    dataset = PretrainedModelDataset(model="compact", load_args={"device": "cpu"})
    assert "compact" in str(dataset)
    assert "cpu" in str(dataset)
    assert dataset.exists()
