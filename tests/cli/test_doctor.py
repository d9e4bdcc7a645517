"""The doctor: one line each, and an exit code that a script can ask."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from defectsynth_pipeline.cli import cli, doctor
from defectsynth_pipeline.cli.project import init_project, open_project


def test_a_sound_machine_passes_also_outside_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["doctor"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for what in ("Python", "packages", "memory", "disk", "device", "encoder", "base model"):
        assert f"yes  {what} " in done.output
    assert "defectsynth init" in done.output


def test_what_the_default_needs_and_has_not_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "MEMORY", 1e6)
    monkeypatch.setattr(doctor, "EASY_MEMORY", 1e6)
    done = CliRunner().invoke(cli, ["doctor", "--root", "nowhere"], catch_exceptions=False)
    assert done.exit_code == 1
    assert " no  memory" in done.output
    assert " no  corpus" in done.output
    assert done.stdout.endswith("The default cannot run.\n")


def test_a_package_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"torchvision": ["torch==1.0"], doctor.PACKAGE: ["no-such-package>=3"]}
    monkeypatch.setattr(doctor, "requires", wanted.get)
    found = [*doctor._packages()]
    assert {one.state for one in found} == {"no"}
    assert "no-such-package is missing" in found[0].said
    assert "is not what torchvision needs" in found[1].said


def test_a_broken_store_is_no_reason_not_to_run(tmp_path: Path) -> None:
    init_project(tmp_path)
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(b"no database at all" * 100)
    found = doctor._store(open_project(tmp_path))
    assert (found.state, "move the file away" in found.said) == ("but", True)


def test_the_store_that_is_looked_at_is_the_one_that_runs_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init_project(tmp_path)
    elsewhere = tmp_path / "elsewhere.db"
    elsewhere.write_bytes(b"no database at all" * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
    found = doctor._store(open_project(tmp_path))
    assert found.state == "but"
    assert str(elsewhere) in found.said
