"""The wheel as it is built, in an environment of its own: no clone, no editable install."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="builds the wheel")


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """`defectsynth` of a fresh environment that has the wheel, and the packages of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(built, cwd=repository, check=True, capture_output=True)
    fresh = folder / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(fresh)], check=True)
    python = fresh / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*install, *options, *map(str, folder.glob("*.whl"))], check=True)
    # A path in a .pth file brings packages, but no .pth files: no editable install.
    (site,) = fresh.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return fresh / "bin" / "defectsynth"


def call(command: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "KEDRO_LOGGING_CONFIG")}
    return subprocess.run(
        [command, *arguments], cwd=cwd, env=kept, capture_output=True, text=True, check=False
    )


def test_a_project_is_made_and_checked_with_nothing_but_the_wheel(
    command: Path, tmp_path: Path, repository: Path
) -> None:
    made = call(command, "init", "parts", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("parts is a project")
    conf = tmp_path / "parts" / "conf"
    shipped = {p.relative_to(conf).as_posix() for p in conf.rglob("*.yml")}
    own = repository / "conf"
    tracked = {p.relative_to(own).as_posix() for p in own.rglob("*.yml")}
    assert shipped == {name for name in tracked if not name.startswith("local/")}
    refused = call(command, "augment", "--params=synthesis.counts=2", cwd=conf.parent)
    assert refused.returncode == 1
    assert "did you mean synthesis.count?" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_outside_a_project_one_line_says_what_to_do(command: Path, tmp_path: Path) -> None:
    refused = call(command, "augment", cwd=tmp_path)
    assert refused.returncode == 1
    said = " ".join((refused.stdout + refused.stderr).split())
    assert "defectsynth init FOLDER" in said
    assert "Traceback" not in said
