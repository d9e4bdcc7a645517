"""What runs begin with: `CorpusFoldersDataset`, `PretrainedModelDataset`, `WorkFolderDataset`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from kedro.io.core import DatasetError

from defectsynth_pipeline.corpora.layout import find_corpora
from defectsynth_pipeline.datasets import (
    CorpusFoldersDataset,
    PretrainedModelDataset,
    WorkFolderDataset,
)

DEMO = "data/01_raw/demo"
COMPACT = PretrainedModelDataset(model="compact", load_args={"device": "cpu"})


def test_models_may_be_loaded_at_the_same_time():
    """As `kedro run --async` does with the inputs of a node."""
    datasets = [PretrainedModelDataset(model="compact") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda dataset: dataset.load().fingerprint, datasets))
    assert len(set(loaded)) == 1


def test_the_demo_writes_itself_once_and_whole(tmp_path):
    demo_folder = tmp_path / DEMO
    dataset = CorpusFoldersDataset(filepath=demo_folder.as_posix(), demo=DEMO)
    assert dataset.exists()
    corpora = dataset.load()
    assert corpora == find_corpora(demo_folder)
    assert {corpus.layout for corpus in corpora} == {"mvtec", "gdxray", "deepcrack"}
    assert [path.name for path in demo_folder.parent.iterdir()] == ["demo"]
    written = {path: path.stat().st_mtime_ns for path in demo_folder.rglob("*")}
    dataset.load()
    assert written == {path: path.stat().st_mtime_ns for path in demo_folder.rglob("*")}


@pytest.mark.parametrize(
    ("make", "exists"),
    [
        (lambda path: CorpusFoldersDataset(filepath=path, demo=None), False),
        (lambda path: CorpusFoldersDataset(filepath=path, demo=DEMO), False),
        (lambda path: PretrainedModelDataset(model=path), True),  # may be a name
    ],
)
def test_a_missing_folder_elsewhere_is_an_error(tmp_path, make, exists):
    missing = tmp_path / "my parts ö"
    dataset = make(missing.as_posix())
    assert dataset.exists() == exists
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert missing.as_posix() in str(caught.value)
    assert "remedy: " in str(caught.value)
    assert not missing.exists()


def test_a_folder_that_is_no_model_is_named(tmp_path):
    (tmp_path / "unet").mkdir()
    with pytest.raises(DatasetError) as caught:
        PretrainedModelDataset(model=tmp_path.as_posix()).load()
    assert tmp_path.as_posix() in str(caught.value)
    assert "remedy: " in str(caught.value)


def test_loading_makes_the_work_folder_and_keeps_what_is_in_it(tmp_path):
    dataset = WorkFolderDataset(filepath=(tmp_path / "a" / "checkpoints").as_posix())
    assert not dataset.exists()
    folder = dataset.load()
    assert folder == tmp_path / "a" / "checkpoints"
    (folder / "last").write_text("1")
    assert dataset.exists()
    assert (dataset.load() / "last").read_text() == "1"


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (CorpusFoldersDataset(filepath="parts"), "read only"),
        (COMPACT, "read only"),
        (WorkFolderDataset(filepath="checkpoints"), "work folder"),
    ],
)
def test_saving_is_refused(dataset, reason):
    with pytest.raises(DatasetError, match=reason):
        dataset.save("anything")


@pytest.mark.parametrize(
    ("dataset", "named", "exists"),
    [
        (COMPACT, {"compact", "cpu"}, True),
        (WorkFolderDataset(filepath="a/checkpoints"), {"checkpoints"}, False),
    ],
)
def test_description_names_what_it_reads(dataset, named, exists):
    assert all(name in str(dataset) for name in named)
    assert dataset.exists() == exists
