"""`WorkFolderDataset`."""

from __future__ import annotations

import pytest
from kedro.io.core import DatasetError

from defectsynth_pipeline.datasets import WorkFolderDataset


@pytest.fixture
def dataset(tmp_path):
    return WorkFolderDataset(filepath=(tmp_path / "a" / "checkpoints").as_posix())


def test_loading_makes_the_folder_and_keeps_what_is_in_it(dataset, tmp_path):
    assert not dataset.exists()
    folder = dataset.load()
    assert folder == tmp_path / "a" / "checkpoints"
    (folder / "last").write_text("1")
    assert dataset.exists()
    assert (dataset.load() / "last").read_text() == "1"


def test_saving_is_refused(dataset):
    with pytest.raises(DatasetError, match="work folder"):
        dataset.save("anything")


def test_description_names_the_folder(dataset):
    assert "checkpoints" in str(dataset)
