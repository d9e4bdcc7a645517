"""The MLflow store: made whole, found broken before anything is written, moved with its project.

`python -m defectsynth_pipeline.hooks.store FILE` does all this for `make mlflow`.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.redact import redact

logger = logging.getLogger(__name__)

SQLITE = "sqlite:///"
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PATIENCE = 5  # seconds; a lock that a run holds lasts for far less
# MLflow would try a server that is gone for four minutes, at every line it is given.
_SERVER = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


def tracking_uri(config: Mapping[str, Any], project: Path) -> str:
    """MLFLOW_TRACKING_URI if set, else the configured one, sqlite paths below the project."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or config["tracking_uri"]
    if not uri.startswith(SQLITE):
        return str(uri)
    return f"{SQLITE}{(project / uri.removeprefix(SQLITE)).as_posix()}"


def artifact_location(uri: str) -> str | None:
    """Beside a sqlite store; where a server keeps artifacts is the server's own affair."""
    if not uri.startswith(SQLITE):
        return None
    return (Path(uri.removeprefix(SQLITE)).parent / "artifacts").as_uri()


def open_store(uri: str) -> Any:
    """Open a store, make it where there is none.

    Args:
        uri: As MLflow takes it, sqlite with an absolute path.

    Returns:
        An `MlflowClient`.

    Raises:
        InputError: The store cannot be read and written; said within seconds.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    # What they would say, with tracebacks and passwords, is said once by whoever calls this.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    try:
        path = Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None
        if path is not None and not _is_made(path):
            _create(path)
        _check(uri)
        if path is not None:
            _follow(path)
        for name, value in _SERVER.items():
            os.environ.setdefault(name, value)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # whatever a driver or a server raises
        raise store_error("the MLflow store cannot be used", uri, error) from error
    return client


def check_store(uri: str) -> bool:
    """Whether a store is there; it is not made, and a server is not asked.

    Raises:
        InputError: It is there and cannot be read and written.
    """
    if uri.startswith(SQLITE) and not _is_made(Path(uri.removeprefix(SQLITE))):
        return False
    try:
        _check(uri)
    except Exception as error:  # sqlite3.Error, OSError, whatever a URI's parser raises
        raise store_error("the MLflow store cannot be used", uri, error) from error
    return True


def store_error(problem: str, uri: str, error: Exception) -> InputError:
    """What went wrong with a store, without passwords, and what to do about it."""
    return InputError(
        problem,
        file=redact(uri.removeprefix(SQLITE)),
        value=redact(f"{error}".strip().split("\n")[0]),
        remedy=_remedy(uri, error),
    )


def _create(path: Path) -> None:
    """Migrate an empty store elsewhere and move it into place: a kill leaves none, or a whole one.

    MLflow creates its tables one by one and cannot go on where it was stopped.
    """
    from mlflow import MlflowClient
    from mlflow.tracking._tracking_service.utils import _get_sqlalchemy_store

    logger.info("making an MLflow store in %s", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # an empty file
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        uri = f"{SQLITE}{made.as_posix()}"
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
        _get_sqlalchemy_store(uri, None).engine.dispose()
        _publish(made, path)


def _publish(made: Path, path: Path) -> None:
    """Copy a file into a place, whole or not at all, unless another run was there first."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        shutil.copyfile(made, aside)
        try:
            os.link(aside, path)  # unlike a rename it never replaces a file
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _is_made(path: Path) -> bool:
    """An empty file is none: something may be about to make it."""
    return path.exists() and not (path.is_file() and path.stat().st_size == 0)


def _check(uri: str) -> None:
    """Raise sqlite3.Error for a file that is broken, locked or read-only, OSError for no server."""
    if not uri.startswith(SQLITE):
        _reach(uri)
        return
    path = Path(uri.removeprefix(SQLITE))
    with closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as store:
        (found,) = store.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        # MLflow would create what is missing, in place.
        store.execute("SELECT artifact_uri FROM runs LIMIT 1")
        store.execute("SELECT version_num FROM alembic_version")
        store.execute("BEGIN IMMEDIATE")
        store.execute("ROLLBACK")


def _follow(path: Path) -> None:
    """Let artifact locations, which MLflow keeps absolute, follow a store that was moved or copied.

    Theirs are those that `artifact_location` gives to a store in a folder of this one's name.
    """
    here = artifact_location(f"{SQLITE}{path.as_posix()}")
    tail = "/".join(["", *here.split("/")[-2:]])
    with closing(sqlite3.connect(path, timeout=_PATIENCE)) as store, store:
        found = store.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        for (there,) in found:
            if there and there.startswith("file:") and there.endswith(tail) and there != here:
                logger.info("the MLflow store was moved: its artifacts are looked for in %s", here)
                store.execute(
                    "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?",
                    (here, there),
                )
                store.execute(
                    "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                    "WHERE substr(artifact_uri, 1, ?) = ?",
                    (here, len(there) + 1, len(there) + 1, f"{there}/"),
                )


def _reach(uri: str) -> None:
    """Raise OSError at once for a database server that is not there; MLflow would try for long."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except ArgumentError:  # no database
        return
    port = url.port or _PORTS.get(url.get_backend_name() if url.host else "")
    if port and not url.drivername.startswith("http"):
        socket.create_connection((url.host, port), timeout=_PATIENCE).close()


def _remedy(uri: str, error: Exception) -> str:
    said = str(error)
    if not uri.startswith(SQLITE):
        return "start the server, or mend MLFLOW_TRACKING_URI or conf/base/mlflow.yml"
    if "locked" in said:
        return "end the program that holds it"
    if "out-of-date" in said:
        return f"copy the file, then run mlflow db upgrade {uri}"
    if isinstance(error, OSError) or "readonly" in said or "unable to open" in said:
        return "make file and folder writable, or name another in conf/base/mlflow.yml"
    return "move the file away; the next run makes a new one"


if __name__ == "__main__":
    try:
        open_store(f"{SQLITE}{Path(sys.argv[1]).resolve().as_posix()}")
    except InputError as error:
        sys.exit(f"{error}")
