"""The MLflow store: killed while it is made, broken, locked, gone, moved and copied."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.store import _publish, open_store
from defectsynth_pipeline.hooks.tracking import MlflowTracking, live_metrics, nested_run
from hooks.test_tracking import begun, run
from sessions import artifact, runs_of


def store_of(project: Path) -> Path:
    return project / "mlruns" / "mlflow.db"


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@contextmanager
def impatient() -> Iterator[None]:
    """MLflow waits 20 s for a lock; here a tenth of one."""

    def shorter(connection, cursor, statement, parameters, context, many):
        return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), parameters

    event.listen(Engine, "before_cursor_execute", shorter, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shorter)


def begin_tables(path: Path) -> None:
    """What a kill while MLflow makes its tables leaves."""
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    path.unlink()
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    engine.dispose()


BROKEN = {
    "garbage": lambda path: path.write_bytes(b"no database" * 500),
    "half": halve,
    "unfinished": begin_tables,
}


class TestMaking:
    def test_a_kill_leaves_no_store(self, tmp_path, monkeypatch):
        def killed(engine):
            raise KeyboardInterrupt

        monkeypatch.setattr("mlflow.store.db.utils._upgrade_db", killed)
        with pytest.raises(KeyboardInterrupt):
            open_store(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
        assert list((tmp_path / "mlruns").iterdir()) == []

    def test_one_that_another_run_made_meanwhile_is_kept(self, tmp_path):
        ours, theirs = tmp_path / "ours" / "mlflow.db", tmp_path / "mlruns" / "mlflow.db"
        for path in (ours, theirs):
            path.parent.mkdir()
            path.write_text(path.parent.name)
        _publish(ours, theirs)
        assert theirs.read_text() == "mlruns"
        assert list(theirs.parent.iterdir()) == [theirs]


class TestTrouble:
    @pytest.mark.parametrize("harm", BROKEN.values(), ids=BROKEN)
    def test_a_run_goes_on_without_a_broken_store(self, project, caplog, harm):
        harm(store_of(project))
        before = store_of(project).read_bytes()
        run(MlflowTracking(), project)
        start, end = said(caplog)
        assert start.startswith("this run is not recorded in MLflow")
        assert end.startswith("this run was not recorded in MLflow")
        for line in (start, end):
            assert f"file: {store_of(project)}" in line
            assert "remedy: move the file away" in line
        assert (project / "data" / "report.json" / "v1").exists()
        assert store_of(project).read_bytes() == before

    def test_a_locked_store(self, project, monkeypatch):
        monkeypatch.setattr("defectsynth_pipeline.hooks.store._PATIENCE", 0)
        with closing(sqlite3.connect(store_of(project), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(InputError, match="end the program that holds it"):
                open_store(f"sqlite:///{store_of(project)}")

    def test_a_folder_that_cannot_be_written(self):
        with pytest.raises(InputError, match="writable"):
            open_store("sqlite:////proc/nowhere/mlflow.db")

    @pytest.mark.parametrize("scheme", ["http", "postgresql", "gopher"])
    def test_an_unreachable_server_is_named_without_its_password(
        self, project, caplog, monkeypatch, scheme
    ):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://me:pass-word@127.0.0.1:{closed()}/x")
        run(MlflowTracking(), project)
        lines = said(caplog)
        assert len(lines) == 2
        assert all(f"file: {scheme}://***@127.0.0.1" in line for line in lines)
        assert all("mend MLFLOW_TRACKING_URI" in line for line in lines)
        assert "pass-word" not in caplog.text

    def test_a_store_that_breaks_in_the_middle(self, project, caplog, mlflow_template):
        hook = begun(project)
        live_metrics(1, {"loss": 0.5})
        halve(store_of(project))
        live_metrics(2, {"loss": 0.25})
        with nested_run("flange, base, seed 0", {"arm": "base"}) as on_metrics:
            on_metrics(1, {"loss": 0.5})
        hook.after_pipeline_run()
        given_up, incomplete, _ = said(caplog)
        assert given_up.startswith("nothing more of this run is recorded")
        assert incomplete.startswith("this run was not recorded to its end")
        for line in (given_up, incomplete):
            assert f"file: {store_of(project)}" in line
            assert "remedy: move the file away" in line

    def test_a_run_goes_on_while_another_program_holds_the_store(self, project, caplog):
        hook = begun(project)
        live_metrics(1, {"loss": 0.5})
        with (
            impatient(),
            closing(sqlite3.connect(store_of(project), isolation_level=None)) as other,
        ):
            other.execute("BEGIN EXCLUSIVE")
            live_metrics(2, {"loss": 0.25})
            with nested_run("flange, base, seed 0", {"arm": "base"}) as on_metrics:
                on_metrics(1, {"loss": 0.5})
            hook.after_pipeline_run()
        given_up, incomplete, left = said(caplog)
        assert given_up.startswith("nothing more of this run is recorded")
        assert incomplete.startswith("this run was not recorded to its end")
        assert "remedy: end the program that holds it" in incomplete
        assert left == "MLflow will show this run as running for ever"
        (found,) = runs_of(project)
        assert found.data.metrics == {"loss": 0.5}

    def test_a_run_begins_untracked_while_another_program_holds_the_store(
        self, project, caplog, monkeypatch
    ):
        monkeypatch.setattr("defectsynth_pipeline.hooks.store._PATIENCE", 0)
        with closing(sqlite3.connect(store_of(project), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            run(MlflowTracking(), project)
        start, end = said(caplog)
        assert start.startswith("this run is not recorded in MLflow")
        assert end.startswith("this run was not recorded in MLflow")
        assert "end the program that holds it" in end
        assert (project / "data" / "report.json" / "v1").exists()

    def test_a_store_that_comes_back_says_that_the_run_is_incomplete(self, project, caplog):
        hook = begun(project)
        whole = store_of(project).read_bytes()
        halve(store_of(project))
        live_metrics(1, {"loss": 0.5})
        store_of(project).write_bytes(whole)
        hook.after_pipeline_run()
        (found,) = runs_of(project)
        assert found.info.status == "FINISHED"
        assert found.data.tags["incomplete"]


class TestMoved:
    @pytest.fixture(params=[shutil.move, shutil.copytree], ids=["mv", "cp -r"])
    def moved(self, request, project) -> Iterator[Path]:
        run(MlflowTracking(), project)
        place = project.with_name("another place")
        request.param(project, place)
        if project.exists():
            left = sorted(project.rglob("*"))
            yield place
            assert sorted(project.rglob("*")) == left
        else:
            yield place
            assert not project.exists()

    def test_artifacts_are_found_in_the_new_place(self, moved):
        client = open_store(f"sqlite:///{store_of(moved)}")
        (found,) = runs_of(moved)
        listed = {file.path for file in client.list_artifacts(found.info.run_id)}
        assert {"dataset_versions.json", "pictures"} <= listed
        got = Path(client.download_artifacts(found.info.run_id, "pictures/manifest.csv"))
        assert [line.split(",")[0] for line in got.read_text().split()] == ["image_id", "a", "b"]
        assert artifact(found, "pictures/manifest.csv").is_relative_to(moved)

    def test_later_runs_write_there(self, moved):
        run(MlflowTracking(), moved, version="v2")
        for found in runs_of(moved):
            assert artifact(found, "pictures/manifest.csv").exists()

    def test_what_lies_elsewhere_by_intent_stays(self, moved):
        client = open_store(f"sqlite:///{store_of(moved)}")
        client.create_experiment("theirs", artifact_location="file:///elsewhere/artifacts")
        again = open_store(f"sqlite:///{store_of(moved)}")
        found = again.get_experiment_by_name("theirs")
        assert found.artifact_location == "file:///elsewhere/artifacts"


def said(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if "MLflow" in r.getMessage() and r.levelno > 20]


def closed() -> int:
    """A port of this machine where nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
