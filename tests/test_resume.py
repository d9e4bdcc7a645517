"""Runs that are killed or run out of disk publish nothing, and the next one goes on from there."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sessions import REPOSITORY, every_image, run, sessions_of, versions, write_own

PATIENCE = 300.0  # seconds; a run takes a few
PROGRAM = """
import json, sys
from pathlib import Path
from sessions import run

run(Path(sys.argv[1]), **json.loads(sys.argv[2]))
"""


@pytest.fixture
def root(tmp_path: Path) -> str:
    return write_own(tmp_path / "parts").as_posix()


def run_until(project: Path, reached: Callable[[], Any], **parameters: Any) -> None:
    """Start a run in a process of its own and kill it as soon as `reached` says so."""
    paths = os.pathsep.join(str(REPOSITORY / name) for name in ("src", "tests"))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, project, json.dumps(parameters)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + PATIENCE
        while not reached():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < end, "the run never got there"
            time.sleep(0.005)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL


def finished(project: Path, entry: str = "07_model_output/image_work") -> dict[str, int]:
    """Pictures that a killed rendering has finished, with the time they were written."""
    partial = (project / "data" / entry).glob("*/records/*.json")
    return {path.stem: path.stat().st_mtime_ns for path in partial}


def test_killed_while_fine_tuning(
    project: Path, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = project / "data" / "06_models" / "finetune_checkpoints"
    parameters = {"root": root, "finetune": {"steps": 12}}
    run_until(project, lambda: list(checkpoints.glob("[!.]*.pt")), **parameters)
    assert "controlnet" not in versions(project)
    assert "synthetic_images" not in versions(project)
    (checkpoint,) = checkpoints.glob("[!.]*.pt")
    step = torch.load(checkpoint, weights_only=True)["step"]
    assert 2 <= step < 12
    caplog.set_level(logging.INFO)
    catalog = run(project, **parameters)
    assert f"resuming from {checkpoint.name} at step {step}" in caplog.messages
    assert list(catalog.load("finetune_history")["step"]) == [2, 4, 6, 8, 10, 12]
    assert catalog.load("controlnet").meta["steps"] == 12
    assert len(every_image(catalog.load("synthetic_images"))) == 8
    assert list(checkpoints.glob("[!.]*.pt")) == [checkpoint]


def test_killed_while_rendering(project: Path, root: str, caplog: pytest.LogCaptureFixture) -> None:
    parameters = {"root": root, "synthesis": {"count": 24}}
    run_until(project, lambda: len(finished(project)) >= 3, **parameters)
    assert "controlnet" in versions(project)
    assert "synthetic_images" not in versions(project)
    done = finished(project)
    assert 3 <= len(done) < 24
    folder = project / "data" / "07_model_output" / "image_work"
    kept = {
        path.relative_to(work): path.stat().st_mtime_ns
        for work in folder.glob("*/set")
        for path in work.rglob("images/*.png")
        if path.stem in done
    }
    caplog.set_level(logging.INFO)
    catalog = run(project, **parameters)
    assert f"resuming: {len(done)} of 24 images are there" in caplog.messages
    images = catalog.load("synthetic_images")
    assert len(every_image(images)) == 24
    for name, written in kept.items():
        assert (images.root / name).stat().st_mtime_ns == written
    assert not list(folder.iterdir())
    assert len(versions(project)["synthetic_images"]) == 1
    # The killed run had finished its fine-tuning, which is not done again.
    assert sum("resuming from" in message for message in caplog.messages) == 1
    assert sessions_of(project)[-1].info.status == "FINISHED"


def test_a_full_disk_while_rendering(
    project: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = Path.write_bytes, []

    def fill(path: Path, data: bytes) -> int:
        if path.parent.name == "images" and path.suffix == ".tmp":
            if len(written) == 5:
                write(path, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            written.append(path.name.removesuffix(".png.tmp"))
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(Exception, match="disk is full") as caught:
            run(project, root=root)
    message = str(caught.value)
    assert "image_work" in message
    assert "No space left on device" in message
    assert "free some space" in message
    assert "synthetic_images" not in versions(project)
    assert "synthetic_preview" not in versions(project)
    assert set(finished(project)) == set(written)
    assert sessions_of(project)[-1].info.status == "FAILED"

    before = finished(project)
    images = run(project, root=root).load("synthetic_images")
    assert len(every_image(images)) == 8
    for image_id, moment in before.items():
        (picture,) = images.root.rglob(f"images/{image_id}.png")
        assert picture.stat().st_mtime_ns <= moment
    assert not list(images.root.rglob("*.tmp"))
