"""The fingerprint of code: of the rooms that decide an outcome and of no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from defectsynth_pipeline.fingerprints import PACKAGE, code_fingerprint
from defectsynth_pipeline.inspection.jobs import ROOMS


@pytest.mark.parametrize(
    ("module", "matters"),
    [("figures/__init__.py", False), ("appearance/__init__.py", True), ("resumable.py", True)],
)
def test_only_code_of_the_rooms_counts(tmp_path: Path, module: str, matters: bool) -> None:
    package = tmp_path / "package"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("assets", "__pycache__"))
    before, whole = code_fingerprint(*ROOMS), code_fingerprint()
    code_fingerprint.cache_clear()
    assert code_fingerprint(*ROOMS, package=package) == before
    assert code_fingerprint(package=package) == whole
    code_fingerprint.cache_clear()
    (package / module).write_text("# one comment more\n")
    assert (code_fingerprint(*ROOMS, package=package) != before) == matters
    assert code_fingerprint(package=package) != whole


def test_a_room_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        code_fingerprint("nowhere", package=tmp_path)
