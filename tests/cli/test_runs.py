"""What the options of `augment` and `downstream` become."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from defectsynth_pipeline.cli import cli, runs
from defectsynth_pipeline.cli.project import init_project
from defectsynth_pipeline.errors import InputError


def given(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple:
    """The pipeline, environment and parameters that a command runs."""
    seen: list = []
    monkeypatch.setattr(runs, "run", lambda *told: seen.append(told))
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return seen[0]


def test_count_is_per_type_in_both_stages_and_params_win(monkeypatch: pytest.MonkeyPatch) -> None:
    name, env, params = given(
        monkeypatch, "augment", "--env=smoke", "--count=7", "--params=masks.count=9,masks.seed=3"
    )
    assert (name, env) == ("augment", "smoke")
    assert params["masks"] == {"per": "type", "count": 9, "seed": 3}
    assert params["synthesis"] == {"per": "type", "count": 7}


def test_root_may_hold_commas_and_is_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    _, _, params = given(monkeypatch, "augment", "--root=a,b=c")
    assert params == {"root": str(tmp_path / "a,b=c")}


def test_count_of_downstream_is_that_of_the_training_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, params = given(monkeypatch, "downstream", "--count=5")
    assert name == "downstream"
    wanted = {"training_set": {"per": "type", "count": 5}}
    assert params == {"classification": wanted, "localization": wanted}


def test_an_export_hands_on_what_was_given_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = ("export", "--format=yolo", "--out=new")
    out = str(tmp_path / "new")
    told = {"format": "yolo", "out": out}
    assert given(monkeypatch, *plain) == ("export", None, {"export": told}, {})
    name, _, params, versions = given(
        monkeypatch, *plain, "--all", "--no-normals", "--commercial", "--version=v1"
    )
    more = {"rejected": True, "normals": False, "commercial": True}
    assert (name, params) == ("export", {"export": told | more})
    assert versions == {"synthetic_images": "v1"}


def test_downstream_refuses_images_of_other_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    init_project(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    with pytest.raises(InputError, match="no images to judge"):
        CliRunner().invoke(cli, ["downstream", "--root=."], catch_exceptions=False)


def test_a_project_is_never_overwritten(tmp_path: Path) -> None:
    init_project(tmp_path)
    with pytest.raises(InputError, match="overwrite"):
        init_project(tmp_path)
