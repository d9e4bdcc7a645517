"""The last words of a run, and the folder that needs no version."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from kedro.io.core import Version

from defectsynth_pipeline.datasets import TextDataset
from defectsynth_pipeline.hooks.closing import Closing, _counted
from defectsynth_pipeline.hooks.latest import point_to
from defectsynth_pipeline.schemas import empty_table
from report.builders import row_of


def refuse(*_: object, **__: object) -> None:
    raise OSError("no links here")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "set" / "v1"
    folder.mkdir(parents=True)
    (folder / "page.html").write_text("one")
    return folder


def test_a_link_leads_to_the_latest_wherever_the_project_lies(target: Path, tmp_path: Path):
    link = tmp_path / "data" / "latest" / "page.html"
    assert point_to(target / "page.html", link) == link
    (target / "other.html").write_text("two")
    point_to(target / "other.html", link)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    assert (moved / "data" / "latest" / "page.html").read_text() == "two"
    assert os.listdir(moved / "data" / "latest") == ["page.html"]


def test_without_links_a_file_is_copied_and_a_folder_named(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Path, "symlink_to", refuse)
    latest = tmp_path / "latest"
    page = point_to(target / "page.html", latest / "page.html")
    assert not page.is_symlink()
    assert page.read_text() == "one"
    told = point_to(target, latest / "images")
    assert told.name == "images.txt"
    assert told.read_text().strip() == str(target)
    monkeypatch.undo()
    assert point_to(target, latest / "images").is_symlink()
    assert sorted(os.listdir(latest)) == ["images", "page.html"]


def summary_of(types: int) -> pd.DataFrame:
    counts = {"images": 10, "accepted": 9, "relabelled": 1, "rejected": 2}
    rows = [
        row_of("synthesis_summary", category="tile", defect_type=f"t{n}", **counts)
        for n in range(types)
    ]
    return pd.DataFrame(rows).assign(first_attempts=1.0)


def test_images_are_counted_per_type():
    assert _counted(summary_of(2)) == "20 images, 18 accepted: tile / t0 9 of 10, tile / t1 9 of 10"
    assert _counted(summary_of(9)).endswith("tile / t5 9 of 10, and 3 more types")


def test_a_run_ends_in_six_lines_at_most(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    datasets = {
        name: TextDataset(filepath=f"{tmp_path}/data/{name}", version=Version(None, "v1"))
        for name in ("report", "synthetic_images")
    }
    closing = Closing()
    closing.after_context_created(SimpleNamespace(project_path=tmp_path))
    closing.before_pipeline_run(datasets)
    samples = pd.DataFrame([row_of("samples", category="tile", licence="unknown")])
    told = {"samples": samples, "synthesis_summary": summary_of(3)}
    told |= {n: empty_table(n) for n in ("engine_choice", "engine_trials", "certificate_test")}
    for name, table in told.items():
        closing.after_dataset_loaded(name, table)
    for name, dataset in datasets.items():
        dataset.save(name)
        closing.after_dataset_saved(name, name)
    closing.after_pipeline_run()
    lines = caplog.messages
    assert len(lines) <= 6
    assert lines[0].startswith("30 images, 27 accepted")
    assert lines[1] == "open data/latest/report.html; images and masks: data/latest/images"
    assert lines[2] == "look at tile / t0: 2 of 12 images (17%) rejected."
    assert lines[4].startswith("and 2 more in the report")
    assert "--pipeline=downstream" in lines[5]
    assert (tmp_path / "data" / "latest" / "report.html").read_text() == "report"


def test_a_first_look_can_be_opened_while_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    dataset = TextDataset(filepath=f"{tmp_path}/data/first_look", version=Version(None, "v1"))
    closing = Closing()
    closing.after_context_created(SimpleNamespace(project_path=tmp_path))
    closing.before_pipeline_run({"first_look": dataset})
    dataset.save("drafts")
    closing.after_dataset_saved("first_look", "drafts")
    (said,) = caplog.messages
    assert said.endswith("open data/latest/first_look.png")
    assert (tmp_path / "data" / "latest" / "first_look.png").read_text() == "drafts"


def test_a_run_that_makes_nothing_to_open_says_nothing(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    closing = Closing()
    closing.before_pipeline_run({})
    closing.after_dataset_saved("samples", pd.DataFrame())
    closing.after_pipeline_run()
    assert caplog.messages == []
