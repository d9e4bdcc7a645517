"""Does the code make what another commit's made? `python benchmarks/unchanged.py COMMIT`.

Both run `augment`, `downstream` with all arms and `pretrain` in the environment `smoke`, in
temporary projects. Tables, pictures and weights that differ are named; `code`, times and what says
where a run stood are left out. Takes some ten minutes; the other commit needs no installation of
its own, as long as it runs with the packages that are installed here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
ARMS = (
    "base normals_only geometric photometric crop_paste crop_paste_matched exemplar cutpaste draem "
    "defectsynth crop_paste+defectsynth@3"
)
RUNS = (
    ("augment",),
    ("downstream", f"--params=arms.names={ARMS},arms.ratio=0 2,protocol.seeds=0 1"),
    ("downstream", "--params=arms.names=base defectsynth,protocol.seeds=3,protocol.legacy=true"),
    ("pretrain",),
)
PROJECT = ("src", "conf", "pyproject.toml", ".telemetry")
PASSING = {"code", "seconds", "version", "root", "model"}  # columns


def run_all(commit: str, project: Path) -> dict[str, str]:
    """Run a commit, or for "" the tracked files as they are here, in an empty project.

    Returns:
        File, its version counted from 0, to a hash of what it holds.
    """
    made = (
        commit
        or subprocess.run(
            ["git", "stash", "create"], cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    archive = subprocess.run(
        ["git", "archive", made or "HEAD", *PROJECT],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(project, filter="data")
    # One thread: sums in another order are other numbers.
    environment = os.environ | {"PYTHONPATH": str(project / "src"), "OMP_NUM_THREADS": "1"}
    for pipeline, *more in RUNS:
        sys.stderr.write(f"{commit or 'here'}: {pipeline}\n")
        command = [sys.executable, "-m", "kedro", "run", "--env=smoke", f"--pipeline={pipeline}"]
        done = subprocess.run(
            [*command, *more],
            check=False,
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{commit or 'here'}: {pipeline} failed\n{done.stdout[-3000:]}")
    return hashes(project / "data")


def hashes(data: Path) -> dict[str, str]:
    """Hash tables without their `PASSING` columns, pictures and weights, by name and version."""
    found = {}
    for version in sorted(data.glob("0[2-8]*/*/*T*Z")):
        number = sorted(version.parent.iterdir()).index(version)
        for file in filter(Path.is_file, version.rglob("*")):
            name = f"{version.parent.relative_to(data)}#{number}/{file.relative_to(version)}"
            if file.suffix == ".csv":
                table = pd.read_csv(file, keep_default_na=False, dtype=str)
                content = table.drop(columns=[c for c in table if c in PASSING]).to_csv().encode()
            elif file.suffix in (".png", ".safetensors", ".npz"):
                content = file.read_bytes()
            else:
                continue
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def main() -> None:
    """Name what differs; the exit status is 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    commit = parser.parse_args().commit
    with tempfile.TemporaryDirectory() as before, tempfile.TemporaryDirectory() as after:
        old, new = run_all(commit, Path(before)), run_all("", Path(after))
    lines = [f"only there    {name}" for name in sorted(old.keys() - new.keys())]
    lines += [f"only here     {name}" for name in sorted(new.keys() - old.keys())]
    both = sorted(old.keys() & new.keys())
    lines += [f"differs       {name}" for name in both if old[name] != new[name]]
    same = sum(old[name] == new[name] for name in both)
    sys.stdout.write("\n".join([*lines, f"{same} of {len(old | new)} files are the same\n"]))
    raise SystemExit(1 if lines else 0)


if __name__ == "__main__":
    main()
