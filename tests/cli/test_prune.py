"""What `prune` keeps: the last versions, and all behind them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from defectsynth_pipeline.cli import cli
from defectsynth_pipeline.cli.project import init_project
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.records import Records

DAYS = [f"2026-11-0{day}T10.00.00.000Z" for day in (1, 2, 3)]
FILES = {
    "samples": "02_intermediate/samples.csv",
    "defect_masks": "04_feature/defect_masks",
    "synthetic_images": "07_model_output/synthetic_images",
}


def made(project: Path, entry: str, version: str, **made_from: str) -> Path:
    file = Path(FILES[entry])
    path = project / "data" / file / version / file.name
    path.parent.mkdir(parents=True)
    path.write_text("x" * 100)
    told = {"made_from": made_from, "settings": {}}
    known = Records(project)
    before = known._load(project / "data" / "runs" / f"{version}.json")
    known.write(version, {"entries": {**before, entry: told}})
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Samples of three days; the last masks are of the first samples."""
    init_project(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    for day in DAYS:
        made(tmp_path / "p", "samples", day)
    made(tmp_path / "p", "defect_masks", DAYS[1], samples=DAYS[1])
    made(tmp_path / "p", "defect_masks", DAYS[2], samples=DAYS[0])
    return tmp_path / "p"


def left(project: Path, entry: str) -> list[str]:
    return sorted(path.name for path in (project / "data" / FILES[entry]).iterdir())


def prune(*options: str) -> str:
    return CliRunner().invoke(cli, ["prune", *options], catch_exceptions=False).output


def test_the_last_of_each_and_what_they_were_made_from_stay(project: Path) -> None:
    assert "2 versions" in prune("--keep=1")
    assert left(project, "samples") == [DAYS[0], DAYS[2]]
    assert left(project, "defect_masks") == [DAYS[2]]
    assert sorted(p.stem for p in (project / "data" / "runs").iterdir()) == [DAYS[0], DAYS[2]]
    assert "0 versions" in prune("--keep=1")


def test_a_review_desk_goes_with_its_images(project: Path) -> None:
    desks = project / "data" / "08_reporting" / "review"
    for day in DAYS[1:]:
        made(project, "synthetic_images", day, samples=DAYS[0])
        (desks / day).mkdir(parents=True)
        (desks / day / "index.html").write_text("page")
    assert "synthetic_images (desk)" in prune("--keep=1", "--dry-run")
    prune("--keep=1")
    assert left(project, "synthetic_images") == [DAYS[2]]
    assert [path.name for path in desks.iterdir()] == [DAYS[2]]


def test_a_dry_run_deletes_nothing(project: Path) -> None:
    assert DAYS[1] in prune("--keep=1", "--dry-run")
    assert left(project, "samples") == DAYS


def test_versions_of_runs_without_a_record_are_refused(project: Path) -> None:
    (project / "data" / "runs" / f"{DAYS[2]}.json").unlink()
    with pytest.raises(InputError, match="not known what this version was made from"):
        prune("--keep=1")
    assert left(project, "samples") == DAYS
