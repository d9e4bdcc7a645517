"""What can happen to a run that is under way; every function says what was wrong, a text each.

All runs of a suite have one place, so that whatever holds a path is equal between them.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bad_inputs import write_part
from projects import (
    Outcome,
    command,
    contents,
    differences,
    half_versions,
    make_project,
    run,
)

_PARTS = "data/01_raw/parts"
_ROOM = 700 << 20
"""Bytes free on the small disk: more than a run asks for before it begins."""
_LEFT = 64 << 10
_TRIES = 50


class Unbroken(NamedTuple):
    """What a pipeline starts from, and what it leaves when nothing happens.

    Attributes:
        start: The project before it.
        end: The project after it.
        files: Checksums of what it wrote, by name.
        seconds: How long it took.
    """

    start: Path
    end: Path
    files: dict[str, str]
    seconds: float


def _run_of(pipeline: str) -> list[str]:
    return command(pipeline, f"--params=root={_PARTS}")


def run_unbroken(place: Path) -> dict[str, Unbroken]:
    """Both pipelines, one after the other."""
    found, start = {}, make_project(place / "new")
    write_part(start / _PARTS)
    for pipeline in ("augment", "downstream"):
        project = make_project(place / "project", like=start)
        ended = run(project, _run_of(pipeline))
        if ended.code != 0:
            raise RuntimeError(f"{pipeline} fails of itself:\n{ended.output}")
        end = make_project(place / f"after_{pipeline}", like=project)
        found[pipeline] = Unbroken(start, end, contents(end), ended.seconds)
        start = end
    return found


def kill(pipeline: str, unbroken: Unbroken, place: Path, rng: random.Random) -> list[str]:
    """Kill a run at a random moment and its successor at another, then let one end."""
    project = make_project(place / "project", like=unbroken.start)
    wrong = []
    killed = 0
    while killed < 2:  # one that ended before its moment is none
        moment = rng.uniform(0.0, unbroken.seconds)
        ended = run(project, _run_of(pipeline), meanwhile=lambda s, at=moment: s >= at)
        killed += ended.code == -signal.SIGKILL
        wrong += half_versions(project) + tracebacks(ended)
    return wrong + goes_on(project, pipeline, unbroken)


def goes_on(project: Path, pipeline: str, unbroken: Unbroken) -> list[str]:
    """Run the same command again; its files must be those of the unbroken run."""
    ended = run(project, _run_of(pipeline))
    wrong = tracebacks(ended)
    if ended.code != 0:
        return [*wrong, f"the next run ends with {ended.code}: {ended.output[-600:]}"]
    wrong += half_versions(project)
    return wrong + [f"differs: {name}" for name in differences(project, unbroken.files)]


def tracebacks(ended: Outcome) -> list[str]:
    """The end of what was said, where a traceback is in it."""
    return [f"traceback: {ended.output[-600:]}"] if "Traceback" in ended.output else []


def one_line(ended: Outcome, named: str) -> list[str]:
    """What is wrong with how a run was refused: one line with a remedy is wanted."""
    lines = [line for line in ended.output.splitlines() if "; remedy: " in line and "ERROR" in line]
    wrong = tracebacks(ended)
    if ended.code in (0, None):
        wrong.append("not refused" if ended.code == 0 else "hangs")
    if len(lines) != 1:
        wrong.append(f"{len(lines)} lines with a remedy: {ended.output[-300:]}")
    elif named not in lines[0]:
        wrong.append(f"{named} is not named: {lines[0]}")
    return wrong


def _is_made(project: Path, what: str) -> Callable[[float], bool]:
    """Whether a file is there, below data/."""
    return lambda seconds: next((project / "data").glob(what), None) is not None


MOMENTS = {
    "augment": (
        "02_intermediate/samples.csv/*/samples.csv",
        "06_models/finetune_checkpoints/*.pt",
        "07_model_output/image_work/*/records/*.json",
    ),
    "downstream": (
        "05_model_input/classification_plan.csv/*/classification_plan.csv",
        "07_model_output/classification_results/*/classification_results",
    ),
}
"""When a disk fills and a store dies: as soon as this is there."""


def fill_disk(pipeline: str, moment: str, unbroken: Unbroken, place: Path) -> list[str]:
    """Fill the disk that data/ is on; then make room and go on."""
    project = make_project(place / "project", like=unbroken.start)
    with _small_disk(project / "data") as filler:
        reached = _is_made(project, moment)

        def fill(seconds: float) -> bool:
            if not filler.exists() and reached(seconds):
                _fill(filler)
            return False

        ended = run(project, _run_of(pipeline), meanwhile=fill)
        wrong = one_line(ended, "the disk is full") + half_versions(project)
        filler.unlink(missing_ok=True)
        return wrong + goes_on(project, pipeline, unbroken)


def _fill(filler: Path) -> None:
    """Take what is free, but for a little; the run takes some of it meanwhile, so try again."""
    with filler.open("wb") as file:
        for _ in range(_TRIES):
            free = shutil.disk_usage(filler.parent).free
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(free - _LEFT, 1))
                return
    raise RuntimeError(f"the disk at {filler.parent} could not be filled")


def limit_files(pipeline: str, unbroken: Unbroken, place: Path) -> list[str]:
    """What stands for a full disk where none can be mounted: no file may be larger than 1 MB."""
    project = make_project(place / "project", like=unbroken.start)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    # The store is larger than that: it is one that a run can do without.
    ended = run(project, _run_of(pipeline), prepare=limit)
    wrong = one_line(ended, "larger than may be written") + half_versions(project)
    return wrong + goes_on(project, pipeline, unbroken)


def read_only(pipeline: str, unbroken: Unbroken, place: Path) -> list[str]:
    """data/ may not be written to; then it may."""
    project = make_project(place / "project", like=unbroken.start)
    data = project / "data"
    data.mkdir(exist_ok=True)
    with _read_only(data):
        ended = run(project, _run_of(pipeline))
        wrong = one_line(ended, "cannot be written to")
    return wrong + half_versions(project) + goes_on(project, pipeline, unbroken)


def kill_store(how: str, pipeline: str, unbroken: Unbroken, place: Path) -> list[str]:
    """The MLflow store goes in the middle: the run ends well, says so, and has all its files."""
    project = make_project(place / "project", like=unbroken.start)
    store = project / "mlruns" / "mlflow.db"
    moment = MOMENTS[pipeline][0]
    before = set((project / "data").glob(moment))
    locks: list[sqlite3.Connection] = []
    done: list[str] = []

    def harm(seconds: float) -> bool:
        if not done and set((project / "data").glob(moment)) - before:
            done.append(how)
            _STORES[how](store, locks)
        return False

    ended = run(project, _run_of(pipeline), meanwhile=harm)
    for lock in locks:
        lock.close()
    wrong = tracebacks(ended) + ([] if done else ["the moment never came"])
    if ended.code != 0:
        wrong.append(f"it ends with {ended.code}: {ended.output[-600:]}")
    if "nothing more of this run is recorded" not in ended.output:
        wrong.append("it does not say that it is not recorded")
    wrong += half_versions(project)
    return wrong + [f"differs: {name}" for name in differences(project, unbroken.files)]


def _lock(store: Path, locks: list[sqlite3.Connection]) -> None:
    lock = sqlite3.connect(store, isolation_level=None, timeout=60)
    locks.append(lock)
    lock.execute("BEGIN EXCLUSIVE")


def _empty_tables(store: Path, locks: list[sqlite3.Connection]) -> None:
    with closing(sqlite3.connect(store, isolation_level=None, timeout=60)) as lock:
        lock.execute("DROP TABLE metrics")
        lock.execute("DROP TABLE tags")


_STORES: dict[str, Callable[[Path, list[sqlite3.Connection]], None]] = {
    "overwritten": lambda store, locks: _overwrite(store),
    "locked": _lock,
    "emptied": _empty_tables,
}
STORES = tuple(_STORES)


def _overwrite(store: Path) -> None:
    size = store.stat().st_size
    with store.open("r+b") as file:
        file.write(b"garbage " * (size // 8))


def can_mount(place: Path) -> bool:
    """Whether this user may mount a disk."""
    folder = place / "mount"
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() != 0 or shutil.which("mount") is None:
        return False
    asked = subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", folder], check=False, capture_output=True
    )
    if asked.returncode == 0:
        subprocess.run(["umount", folder], check=True)
    return asked.returncode == 0


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own below a folder, with what was there; gives what may fill it."""
    aside = folder.with_name("aside")
    folder.mkdir(exist_ok=True)
    shutil.copytree(folder, aside)
    size = _ROOM + sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield folder / "filler"
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Root may write anywhere, but not on a disk mounted read-only."""
    if can_mount(folder.parent.parent):
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
            yield
        finally:
            subprocess.run(["umount", folder], check=True)
    else:
        inside = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for path in inside:
            path.chmod(0o555)
        try:
            yield
        finally:
            for path in inside:
                path.chmod(0o755)
