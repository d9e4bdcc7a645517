"""Every file and folder is published whole: a kill, a full disk leave what was there before."""

from __future__ import annotations

import base64
import errno
import inspect
import io
import os
import resource
import signal
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from kedro.io.core import DatasetError, Version
from kedro_viz.integrations.kedro.hooks_utils import compute_size
from matplotlib.figure import Figure
from PIL import Image

from defectsynth_pipeline.datasets import (
    FigureDataset,
    FinetunedModelDataset,
    TableDataset,
    TextDataset,
)
from defectsynth_pipeline.publishing import cannot_write

HISTORY = pd.DataFrame({"step": range(99), "train_loss": 0.5})
HISTORY = HISTORY.assign(validation_loss=0.25, learning_rate=1e-3)


class Model:
    """A folder of one long file."""

    def save(self, folder: Path) -> None:
        (folder / "first").write_text("1")
        (folder / "weights").write_text("x" * 9999)


KINDS = {
    "page.md": (TextDataset, "long " * 999, {}),
    "curves.png": (FigureDataset, Figure(), {"save_args": {"dpi": 30}}),
    "history.csv": (TableDataset, HISTORY, {"table": "finetune_history"}),
    "model": (FinetunedModelDataset, Model(), {}),
}


@pytest.fixture(params=KINDS)
def dataset(request, tmp_path):
    """Makes the dataset of a version."""
    kind, data, options = KINDS[request.param]
    path = (tmp_path / request.param).as_posix()

    def make(version: str):
        made = kind(filepath=path, version=Version(None, version), **options)
        return made, data

    return make


def save_and_die(dataset, data) -> int:
    """Save in a process that the system kills once it has written 500 bytes to a file."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
        dataset.save(data)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_kill_in_the_middle_of_writing_leaves_the_version_before(dataset):
    first, data = dataset("v1")
    assert save_and_die(first, data) == -signal.SIGXFSZ
    assert not dataset("v1")[0].exists()
    dataset("v2")[0].save(data)
    assert save_and_die(*dataset("v3")) == -signal.SIGXFSZ
    assert dataset("v4")[0].resolve_load_version() == "v2"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EFBIG])
def test_a_full_or_read_only_disk_is_said_and_leaves_nothing(dataset, tmp_path, monkeypatch, code):
    def fails(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fails)
    made, data = dataset("v1")
    with pytest.raises(DatasetError, match="nothing was published") as caught:
        made.save(data)
    assert os.strerror(code) in str(caught.value)
    assert [p for p in tmp_path.rglob("*") if p.is_file() or p.name == "v1"] == []


def test_kedro_viz_is_told_the_true_size(dataset, tmp_path):
    made, data = dataset("v1")
    assert compute_size("it", {"it": made}) == 0
    made.save(data)
    files = [path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()]
    assert compute_size("it", {"it": made}) == sum(files) > 500


def test_a_folder_that_is_not_permitted_is_said_and_a_file_elsewhere_is_not(tmp_path):
    target, denied = tmp_path / "v1" / "x.csv", os.strerror(errno.EACCES)
    told = cannot_write(PermissionError(errno.EACCES, denied, str(tmp_path)), target)
    assert told is not None
    assert "writable" in told.remedy
    assert cannot_write(PermissionError(errno.EACCES, denied, "/photos/1.png"), target) is None


def test_a_text_comes_back(tmp_path):
    page = TextDataset(filepath=(tmp_path / "page.md").as_posix())
    page.save("Größe\n")
    assert page.load() == "Größe\n"


def test_an_object_store_gets_one_object(tmp_path):
    page = TextDataset(filepath="memory:///pages/page.md", version=Version(None, "v1"))
    page.save("text")
    assert page.load() == "text"
    found = [name for name in fsspec.filesystem("memory").find("/") if "page" in name]
    assert [name.lstrip("/") for name in found] == ["pages/page.md/v1/page.md"]


def test_a_figure_is_a_picture(tmp_path):
    figure = FigureDataset(filepath=(tmp_path / "x.png").as_posix(), save_args={"dpi": 50})
    figure.save(Figure(figsize=(2, 1)))
    with Image.open(io.BytesIO(base64.b64decode(figure.preview()))) as picture:
        assert picture.size == (100, 50)
    with pytest.raises(DatasetError, match="look at the file"):
        figure.load()
    annotation = inspect.signature(FigureDataset.preview).return_annotation
    assert getattr(annotation, "__name__", annotation) == "ImagePreview"
