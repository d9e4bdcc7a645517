"""`CorpusFoldersDataset`."""

from __future__ import annotations

import pytest
from kedro.io.core import DatasetError

from defectsynth_pipeline.corpora.layout import find_corpora
from defectsynth_pipeline.datasets import CorpusFoldersDataset

DEMO = "data/01_raw/demo"


@pytest.fixture
def demo_folder(tmp_path):
    return tmp_path / DEMO


def test_the_demo_writes_itself_once_and_whole(demo_folder):
    half = demo_folder.with_name(".partial-demo")
    half.mkdir(parents=True)
    (half / "junk").touch()
    dataset = CorpusFoldersDataset(filepath=demo_folder.as_posix(), demo=DEMO)
    assert dataset.exists()
    corpora = dataset.load()
    assert corpora == find_corpora(demo_folder)
    assert {corpus.layout for corpus in corpora} == {"mvtec", "gdxray", "deepcrack"}
    assert [path.name for path in demo_folder.parent.iterdir()] == ["demo"]
    assert not (demo_folder / "junk").exists()
    written = {path: path.stat().st_mtime_ns for path in demo_folder.rglob("*")}
    dataset.load()
    assert written == {path: path.stat().st_mtime_ns for path in demo_folder.rglob("*")}


@pytest.mark.parametrize("demo", [None, DEMO])
def test_a_missing_folder_elsewhere_is_an_error(tmp_path, demo):
    missing = tmp_path / "my parts ö"
    dataset = CorpusFoldersDataset(filepath=missing.as_posix(), demo=demo)
    assert not dataset.exists()
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert "my parts ö" in str(caught.value)
    assert "remedy: " in str(caught.value)
    assert not missing.exists()


def test_saving_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="read only"):
        CorpusFoldersDataset(filepath=tmp_path.as_posix()).save([])
