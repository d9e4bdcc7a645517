"""Entries in an object store: a real S3 server on this machine, spoken to through fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.io.core import DatasetError, Version
from test_image_set import finished

from defectsynth_pipeline.datasets import FinetunedModelDataset, ImageSetDataset, TableDataset
from defectsynth_pipeline.datasets import folder as folders
from defectsynth_pipeline.errors import InputError

FIRST, SECOND = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"
BUCKET = "s3://defects"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("s3fs")
    servers = pytest.importorskip("moto.server")
    one = servers.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    one.start()
    host, port = one.get_host_and_port()
    yield f"http://{host}:{port}"
    one.stop()


@pytest.fixture
def store(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Credentials of an empty bucket; copies go to a folder of the test."""
    import s3fs

    credentials = {"key": "a", "secret": "b", "endpoint_url": server}
    monkeypatch.setattr(folders, "CACHE", tmp_path / "cache")
    files = s3fs.S3FileSystem(**credentials)
    if files.exists("defects"):
        files.rm("defects", recursive=True)
    files.invalidate_cache()
    if not files.exists("defects"):
        files.mkdir("defects")
    return credentials


def images(store: dict[str, Any], save: str | None, load: str | None = None) -> ImageSetDataset:
    version = Version(load, save)
    return ImageSetDataset(filepath=f"{BUCKET}/images", version=version, credentials=store)


def forget(tmp_path: Path) -> None:
    """As another machine sees it: no copies."""
    (tmp_path / "cache").rename(tmp_path / "elsewhere")


class Plain:
    """A model of one file."""

    def __init__(self, text: str) -> None:
        self.text = text

    def save(self, folder: Path) -> None:
        (folder / "text.txt").write_text(self.text)

    @classmethod
    def load(cls, folder: Path) -> Plain:
        return cls((folder / "text.txt").read_text())


def test_a_set_is_published_read_elsewhere_and_resolved_by_version(
    store: dict[str, Any], tmp_path: Path
) -> None:
    assert not images(store, None).exists()
    images(store, FIRST).save(finished(tmp_path / "work", 3, True))
    images(store, SECOND).save(finished(tmp_path / "work", 5, True))
    forget(tmp_path)
    latest = images(store, None)
    assert latest.exists()
    assert latest.list_versions(full_path=False) == [SECOND, FIRST]
    loaded = latest.load()
    assert len(loaded) == 5
    assert np.array_equal(loaded.array("hole_2", "image")[0, 0], [80, 80, 80])
    assert len(images(store, None, FIRST).load()) == 3
    with pytest.raises(DatasetError, match="must not exist"):
        images(store, SECOND).save(finished(tmp_path / "work", 4, True))


def test_without_its_manifest_there_is_no_version(
    store: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, put = images(store, FIRST), None
    put = dataset._fs.put_file

    def cut(path: str, target: str, **how: Any) -> None:
        if target.endswith("manifest.parquet"):
            raise ConnectionError("cut")
        put(path, target, **how)

    monkeypatch.setattr(dataset._fs, "put_file", cut)
    made = finished(tmp_path / "work", 3, True)
    with pytest.raises(DatasetError, match="cut"):
        dataset.save(made)
    monkeypatch.undo()
    assert dataset._fs.find("defects/images")
    assert not images(store, None).exists()
    again = finished(tmp_path / "work", 3, True)  # what was rendered is there still
    assert again.work == made.work
    monkeypatch.setattr(folders, "CACHE", tmp_path / "cache")
    images(store, SECOND).save(again)
    assert images(store, None).list_versions(full_path=False)[0] == SECOND


def test_a_harmed_picture_is_refused(store: dict[str, Any], tmp_path: Path) -> None:
    dataset = images(store, FIRST)
    dataset.save(finished(tmp_path / "work", 3, True))
    forget(tmp_path)
    dataset._fs.pipe_file(f"defects/images/{FIRST}/images/images/hole_1.png", b"other")
    with pytest.raises((InputError, DatasetError), match="hole_1"):
        images(store, None).load()


def test_a_model_and_a_table_by_a_catalog(store: dict[str, Any], tmp_path: Path) -> None:
    entries = {
        "model": {
            "type": "defectsynth_pipeline.datasets.FinetunedModelDataset",
            "model": f"{__name__}.Plain",
            "filepath": f"{BUCKET}/model",
            "versioned": True,
            "credentials": "store",
        },
        "history": {
            "type": "defectsynth_pipeline.datasets.TableDataset",
            "table": "finetune_history",
            "filepath": f"{BUCKET}/history.csv",
            "versioned": True,
            "credentials": "store",
        },
    }
    catalog = DataCatalog.from_config(entries, {"store": store})
    assert isinstance(catalog["model"], FinetunedModelDataset)
    assert isinstance(catalog["history"], TableDataset)
    catalog["model"].save(Plain("learnt"))
    row = {"step": [1], "train_loss": [0.5], "validation_loss": [0.25], "learning_rate": [0.1]}
    catalog["history"].save(pd.DataFrame(row))
    forget(tmp_path)
    assert catalog["model"].load().text == "learnt"
    assert catalog["history"].load()["train_loss"].tolist() == [0.5]
