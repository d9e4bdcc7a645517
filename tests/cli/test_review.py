"""`defectsynth review`: which set's desk it makes, and where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from defectsynth_pipeline.cli import cli
from defectsynth_pipeline.cli.project import init_project
from refusals import refused
from review.conftest import make_set

OLD, NEW = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"


@pytest.fixture(scope="module")
def reviewable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two versions of one set."""
    folder = tmp_path_factory.mktemp("reviewable")
    made, project = make_set(folder / "made"), folder / "project"
    init_project(project)
    data = project / "data"
    for version in (OLD, NEW):
        images = data / "07_model_output" / "synthetic_images" / version / "synthetic_images"
        shutil.copytree(made.images.root, images)
        masks = data / "04_feature" / "defect_masks" / version / "defect_masks"
        masks.mkdir(parents=True)
        told = made.masks.assign(mask_sha256="not read")
        told.to_parquet(masks / "manifest.parquet")
        samples = data / "02_intermediate" / "samples.csv" / version / "samples.csv"
        samples.parent.mkdir(parents=True)
        made.samples.assign(split_protocol="x", partition=0).to_csv(samples, index=False)
    return project


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["review", *arguments], catch_exceptions=False)


def test_the_latest_images_or_those_named(
    reviewable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reviewable)
    done = call()
    page = reviewable / "data" / "08_reporting" / "review" / NEW / "index.html"
    assert done.output.endswith(f"16 images to look through: {page}\n")
    assert page.is_file()
    call(OLD, f"--out={tmp_path / 'desk'}")
    assert f'"version":"{OLD}"' in (tmp_path / "desk" / "data.js").read_text("utf-8")


def test_what_there_is_not_is_said(reviewable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reviewable)
    with refused("no such version", "2020", remedy=NEW):
        call("2020")
    monkeypatch.chdir(init(reviewable.parent / "empty"))
    with refused("no images to review yet", remedy="defectsynth augment"):
        call()


def init(folder: Path) -> Path:
    init_project(folder)
    return folder
