"""Projects that faults are done to: made, run as a user runs them, looked through, compared."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
PATIENCE = 900.0
"""Seconds after which a run is taken for hanging."""
_ENVIRONMENT = {
    "PYTHONPATH": str(REPOSITORY / "src"),
    "KEDRO_LOGGING_CONFIG": str(REPOSITORY / "conf" / "logging.yml"),
    "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    "DO_NOT_TRACK": "1",
    "KEDRO_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


_TOLD_AGAIN = (".png", ".html")


class Outcome(NamedTuple):
    """How a run ended: its exit status (None: it hung and was killed), what it said, seconds."""

    code: int | None
    output: str
    seconds: float


def make_project(folder: Path, like: Path | None = None) -> Path:
    """An empty project, or a copy of another, in place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    if like is not None:
        return Path(shutil.copytree(like, folder, symlinks=True))
    shutil.copytree(REPOSITORY / "conf", folder / "conf")
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(REPOSITORY / name, folder)
    (folder / "src").mkdir()
    return folder


def command(pipeline: str, *more: str) -> list[str]:
    """The arguments of `kedro`."""
    return ["run", "--env=smoke", f"--pipeline={pipeline}", *more]


def run(
    project: Path,
    arguments: list[str],
    *,
    meanwhile: Callable[[float], bool] = lambda seconds: False,
    prepare: Callable[[], None] | None = None,
) -> Outcome:
    """Run `kedro` in a process group of its own.

    Args:
        project: Where.
        arguments: Its arguments.
        meanwhile: Asked 50 times a second, with the seconds since the start; once it says so, the
            whole group is killed.
        prepare: Called in the child before it becomes `kedro`.
    """
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=project,
            env=os.environ | _ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 (this process has one thread)
        )
        code, seconds = None, 0.0
        try:
            while (code := child.poll()) is None and seconds < PATIENCE:
                if meanwhile(seconds):
                    os.killpg(child.pid, signal.SIGKILL)
                    code = child.wait()
                    break
                time.sleep(0.02)
                seconds = time.monotonic() - began
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        said.seek(0)
        return Outcome(code, said.read().decode("utf-8", "replace"), time.monotonic() - began)


def load_libraries() -> None:
    """Import once what every fork needs."""
    os.environ.update(_ENVIRONMENT)
    import diffusers  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import mlflow  # noqa: F401
    import pandas  # noqa: F401
    import scipy.ndimage  # noqa: F401
    import transformers  # noqa: F401
    from kedro.framework.cli.cli import main  # noqa: F401
    from kedro.framework.session import KedroSession  # noqa: F401


def run_forked(project: Path, arguments: list[str], patience: float = 120.0) -> Outcome:
    """Run `kedro` in a fork, which is spared its imports; all else is as in `run`."""
    with tempfile.TemporaryFile() as said:
        sys.stdout.flush()
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _become_kedro(project, arguments, said.fileno())
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
            if time.monotonic() - began > patience:
                os.killpg(child, signal.SIGKILL)
                ended = os.waitpid(child, 0)
                break
            time.sleep(0.02)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # helpers of it that its end did not stop
        status = os.waitstatus_to_exitcode(ended[1])
        said.seek(0)
        output = said.read().decode("utf-8", "replace")
        hung = status == -signal.SIGKILL
        return Outcome(None if hung else status, output, time.monotonic() - began)


def _become_kedro(project: Path, arguments: list[str], output: int) -> None:
    """What Python does at the end of `python -m kedro`, with nothing of the parent's ending."""
    code = 70
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(project)
        sys.argv = ["kedro", *arguments]
        from kedro.framework.cli.cli import main

        main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # as the interpreter does
        code = 1
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def open_catalog(project: Path, versions: dict[str, str] | None = None) -> Any:
    """The catalog of a project, at the versions given."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)
    with KedroSession.create(project_path=project, env="smoke") as session:
        return session.load_context()._get_catalog(load_versions=versions or {})


def versions(project: Path) -> Iterator[Path]:
    """Every version that a run could load: `data/<layer>/<entry>/<version>/<entry>`."""
    for path in sorted((project / "data").glob("0[2-8]*/*/*T*Z/*")):
        if path.name == path.parent.parent.name:
            yield path


def latest(project: Path, entry: str) -> Path:
    """The latest version of an entry."""
    return [path for path in versions(project) if path.stem == entry][-1]


def half_versions(project: Path) -> list[str]:
    """Load every version and look at all of it; a text, "half version: ...", for what is wrong."""
    from PIL import Image

    from defectsynth_pipeline.imagesets import ImageSet, verify

    wrong, catalogs = [], {}
    for path in versions(project):
        entry, version = path.stem, path.parent.name
        try:
            if path.suffix == ".png":
                Image.open(path).load()
                continue
            if version not in catalogs:
                of_run = [other for other in versions(project) if other.parent.name == version]
                catalogs[version] = open_catalog(project, {o.stem: version for o in of_run})
            found = catalogs[version][entry].load()
            if isinstance(found, ImageSet):
                wrong += [f"half version: {text}" for text in verify(path)]
        except Exception as error:  # whatever a reader raises
            wrong.append(f"half version: {path}: {type(error).__name__}: {error}")
    return wrong


def contents(project: Path) -> dict[str, str]:
    """SHA-256 of every file of the latest version of every set, table and model; figures are not
    promised, nor pages, which tell seconds and versions, nor how long a training took."""
    found = {}
    newest = {path.stem: path for path in versions(project) if path.suffix not in _TOLD_AGAIN}
    for path in newest.values():
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                name = f"{path.name}/{file.relative_to(path)}" if path.is_dir() else path.name
                found[name] = hashlib.sha256(_untimed(file)).hexdigest()
    return found


def _untimed(file: Path) -> bytes:
    if file.name != "meta.csv":
        return file.read_bytes()
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return table.drop(columns="seconds", errors="ignore").to_csv(index=False).encode()


def differences(project: Path, wanted: dict[str, str]) -> list[str]:
    """Files of a finished run that are not those of an unbroken one."""
    found = contents(project)
    return sorted(
        name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
    )
