"""The MLflow hook in real sessions of a small project in a temporary folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from kedro.framework.hooks import _create_hook_manager
from kedro.framework.hooks.manager import _register_hooks
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.store import tracking_uri
from defectsynth_pipeline.hooks.tracking import (
    MlflowTracking,
    flatten,
    live_metrics,
    nested_run,
)
from defectsynth_pipeline.options import ComposeOptions, SaeOptions, SynthesisOptions
from defectsynth_pipeline.rendering import FinishedSet, ImageSetJob, Rendered, render_set
from sessions import artifact, client_of, runs_of

CONFIG = {"enabled": True, "tracking_uri": "sqlite:///mlruns/mlflow.db"}
CONFIG |= {"experiment": "defectsynth"}


class Context:
    """What the hook reads of a Kedro context."""

    def __init__(self, project: Path, config=None):
        self.project_path, self.config_loader = project, {"mlflow": config or CONFIG}


def train(options: SynthesisOptions, number: int) -> dict:
    for step in (1, 2, 3):
        live_metrics(step, {"train/loss": 1 / step})
    if number < 0:
        raise ValueError("a negative number")
    return {"area": {"hole": number / 10}, "note": "text"}


def tabulate(number: int) -> pd.DataFrame:
    return pd.DataFrame({"category": ["tile"], "defect_type": ["crack"], "masks": [number]})


def curve(number: int) -> pd.DataFrame:
    return pd.DataFrame({"step": [10, 20], "loss": [0.5, 0.25]})


def render(number: int, work: Path) -> FinishedSet:
    plan = pd.DataFrame({"image_id": ["a", "b"]})
    mask = tabulate(1).isna().to_numpy()
    job = ImageSetJob(
        "f00d", plan, lambda rows: (Rendered(i, {"mask": ~mask}) for i in rows["image_id"])
    )
    return render_set(job, work)


PIPELINE = Pipeline(
    [
        Node(train, ["params:synthesis", "number"], "report", name="train"),
        Node(tabulate, "number", "ratios", name="tabulate"),
        Node(curve, "number", "history", name="curve"),
        Node(render, ["number", "work"], "pictures", name="render"),
    ]
)


ENTRIES = {
    "report": ("json.JSONDataset", "report.json", "artifact"),
    "ratios": ("pandas.CSVDataset", "ratios.csv", "artifact"),
    "history": ("pandas.CSVDataset", "history.csv", None),
    "pictures": ("defectsynth_pipeline.datasets.ImageSetDataset", "pictures", "artifact"),
}


def make_catalog(project: Path, version: str, number: int) -> DataCatalog:
    entries = {
        name: {
            "type": kind,
            "filepath": (project / "data" / file).as_posix(),
            "versioned": True,
            "metadata": {"mlflow": mlflow},
        }
        for name, (kind, file, mlflow) in ENTRIES.items()
    }
    catalog = DataCatalog.from_config(entries, save_version=version)
    catalog["number"] = MemoryDataset(number)
    catalog["work"] = MemoryDataset(project / "work")
    catalog["params:synthesis"] = MemoryDataset(SynthesisOptions(sae=SaeOptions(angles=9)))
    return catalog


def run(hook: MlflowTracking, project: Path, *, version="v1", number=4, config=None):
    """One run as `KedroSession.run` makes it, with hooks on and errors passed on."""
    manager = _create_hook_manager()
    _register_hooks(manager, (hook,))
    hooks = manager.hook
    hooks.after_context_created(context=Context(project, config))
    catalog = make_catalog(project, version, number)
    params = {"run_id": version, "pipeline_names": ["augment"], "env": None}
    params |= {"kedro_version": "1", "runtime_params": {"root": "/parts"}}
    call = {"run_params": params, "pipeline": PIPELINE, "catalog": catalog}
    hooks.before_pipeline_run(**call)
    try:
        result = SequentialRunner().run(PIPELINE, catalog, hook_manager=manager)
    except Exception as error:
        hooks.on_pipeline_error(error=error, **call)
        raise
    hooks.after_pipeline_run(run_result=result, **call)


def begun(project: Path, catalog: DataCatalog | None = None, version="v1") -> MlflowTracking:
    """A hook in a run of no nodes."""
    hook = MlflowTracking()
    hook.after_context_created(Context(project))
    call = {"run_id": version, "kedro_version": "1"}
    hook.before_pipeline_run(call, Pipeline([]), catalog or DataCatalog())
    return hook


def by_name(project: Path) -> list:
    return sorted(runs_of(project), key=lambda run: run.data.tags["save_version"])


class TestRun:
    @pytest.fixture
    def finished(self, project):
        run(MlflowTracking(), project)
        return runs_of(project)[0]

    def test_status_and_tags(self, finished):
        assert finished.info.status == "FINISHED"
        assert finished.info.run_name == "augment"
        assert finished.data.tags["version.python"]
        assert finished.data.tags["pipeline"] == "augment"
        assert finished.data.tags["save_version"] == "v1"
        assert finished.data.tags["git.commit"] == "unknown"

    def test_typed_parameters_are_flattened(self, finished):
        params = finished.data.params
        assert params["synthesis.sae.angles"] == "9"
        assert params["synthesis.compose.mode"] == ComposeOptions().mode
        assert params["root"] == "/parts"
        assert len(params) == len(flatten(SynthesisOptions().model_dump())) + 1

    def test_tables_are_artifacts(self, finished):
        assert artifact(finished, "ratios/ratios.csv").read_text().endswith("tile,crack,4\n")
        assert not artifact(finished, "history").exists()
        assert set(finished.data.metrics) == {"train/loss"}

    def test_curves(self, finished, project):
        def points(key):
            found = client_of(project).get_metric_history(finished.info.run_id, key)
            return [(point.step, point.value) for point in found]

        assert points("train/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]

    def test_artifacts_lie_in_the_project(self, finished, project):
        manifest = artifact(finished, "pictures/manifest.csv")
        assert manifest.is_relative_to(project / "mlruns" / "artifacts")
        assert pd.read_csv(manifest)["image_id"].tolist() == ["a", "b"]
        assert [path.name for path in manifest.parent.iterdir()] == ["manifest.csv"]

    def test_dataset_versions(self, finished):
        versions = json.loads(artifact(finished, "dataset_versions.json").read_text())
        names = {"report", "ratios", "history", "pictures"}
        assert versions["save"] == dict.fromkeys(names, "v1")


@pytest.mark.parametrize(
    ("asked", "name"),
    [({}, "default"), ({"tags": ["shape", "pictures"]}, "shape, pictures")],
)
def test_a_run_of_a_slice_has_its_name(project, asked, name):
    hook = MlflowTracking()
    hook.after_context_created(Context(project))
    call = {"run_id": "v1", "kedro_version": "1"} | asked
    hook.before_pipeline_run(call, Pipeline([]), DataCatalog())
    hook.after_pipeline_run()
    assert [found.info.run_name for found in runs_of(project)] == [name]


class TestSessions:
    def test_three_runs_with_one_hook_do_not_mix(self, project):
        hook = MlflowTracking()
        for number in (1, 2, 3):
            run(hook, project, version=f"v{number}", number=number)
        found = [
            (r.data.tags["save_version"], artifact(r, "ratios/ratios.csv").read_text()[-2])
            for r in runs_of(project)
        ]
        assert sorted(found) == [("v1", "1"), ("v2", "2"), ("v3", "3")]
        live_metrics(9, {"stray": 1.0})
        assert all("stray" not in r.data.metrics for r in runs_of(project))

    def test_an_error_ends_the_run_as_failed_and_the_next_is_its_own(self, project):
        hook = MlflowTracking()
        with pytest.raises(ValueError, match="a negative number"):
            run(hook, project, number=-1)
        run(hook, project, version="v2")
        failed, finished = by_name(project)
        assert failed.info.status == "FAILED"
        assert failed.data.tags["error"] == "ValueError: a negative number"
        assert failed.data.metrics["train/loss"] == 1 / 3
        assert finished.info.status == "FINISHED"
        assert "error" not in finished.data.tags

    def test_an_interrupted_run_is_killed_when_the_next_begins(self, project):
        run(begun(project, version="v0"), project)
        assert [r.info.status for r in runs_of(project)] == ["KILLED", "FINISHED"]

    def test_loaded_versions(self, project):
        run(MlflowTracking(), project)
        hook = begun(project, make_catalog(project, "v2", 1), "v2")
        hook.after_dataset_loaded("ratios", None)
        hook.after_pipeline_run()
        last = by_name(project)[-1]
        versions = json.loads(artifact(last, "dataset_versions.json").read_text())
        assert versions == {"load": {"ratios": "v1"}, "save": {}}
        (read,) = last.inputs.dataset_inputs
        assert (read.dataset.name, read.dataset.digest) == ("ratios", "v1")

    def test_switched_off(self, project):
        run(MlflowTracking(), project, config={**CONFIG, "enabled": False})
        assert client_of(project).get_experiment_by_name("defectsynth") is None


class TestStore:
    def test_a_relative_path_is_the_projects_wherever_one_stands(
        self, project, tmp_path, monkeypatch
    ):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        run(MlflowTracking(), project)
        assert len(runs_of(project)) == 1
        assert list(elsewhere.iterdir()) == []

    def test_the_environment_wins(self, project, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
        assert tracking_uri(CONFIG, project) == "http://localhost:5000"
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        assert tracking_uri(CONFIG, project) == f"sqlite:///{project}/mlruns/mlflow.db"

    def test_unknown_mark_in_the_catalog(self, project):
        hook = begun(project, DataCatalog({"x": MemoryDataset(1, metadata={"mlflow": "metric"})}))
        with pytest.raises(InputError, match="catalog entry x"):
            hook.after_dataset_saved("x", 1)
        hook.on_pipeline_error(ValueError())


def test_secrets_of_the_command_and_names_that_mlflow_refuses(project, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/kedro", "run", "--params=root=/x,hub.token=abc"])
    hook = begun(project)
    live_metrics(1, {"part/dent (x)": 1.0, "a" * 300: 2.0})
    with nested_run("flange", {"part/dent (x)": "y"}):
        pass
    hook.on_pipeline_error(InputError("no", value="https://me:pw@host/x", remedy="mend it"))
    parent, child = sorted(runs_of(project), key=lambda r: r.info.start_time)
    assert parent.data.tags["command"] == "kedro run '--params=root=/x,hub.token=***'"
    assert "https://***@host/x" in parent.data.tags["error"]
    assert sorted(parent.data.metrics.values()) == [1, 2]
    assert list(child.data.params.values()) == ["y"]


def test_commit_and_dirty_flag(project):
    def git(*arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", "-C", project, *identity, *arguments], check=True)

    git("init", "-q")
    (project / "tracked").write_text("1")
    git("add", "tracked")
    git("commit", "-qm", "x")
    run(MlflowTracking(), project)
    (project / "tracked").write_text("2")
    run(MlflowTracking(), project, version="v2")
    clean, dirty = by_name(project)
    assert len(clean.data.tags["git.commit"]) == 40
    assert clean.data.tags["git.dirty"] == "false"
    assert dirty.data.tags["git.dirty"] == "true"


def test_importing_the_hook_does_not_import_mlflow(repository):
    script = "import sys, defectsynth_pipeline.settings; print('mlflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=repository / "src",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


class TestNestedRuns:
    def test_a_training_has_a_run_below_the_sessions(self, project):
        hook = begun(project)
        with nested_run("flange, base, seed 0", {"arm": "base"}) as on_metrics:
            on_metrics(1, {"loss": 0.5})
            on_metrics(2, {"loss": 0.25})
        with pytest.raises(ValueError, match="stopped"), nested_run("flange, b", {}):
            raise ValueError("stopped")
        hook.after_pipeline_run()
        parent, good, bad = sorted(runs_of(project), key=lambda r: r.info.start_time)
        assert good.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert good.data.params == {"arm": "base"}
        assert good.data.metrics == {"loss": 0.25}
        assert [r.info.status for r in (parent, good, bad)] == ["FINISHED", "FINISHED", "FAILED"]

    def test_parts_of_a_pipeline_are_told_apart(self, project):
        hook = begun(project)
        for number, loss in enumerate((0.5, 0.25)):
            hook.before_node_run(Node(curve, "number", "x", namespace=f"partition_{number}.net"))
            live_metrics(1, {"loss": loss})
            with nested_run("flange, base, seed 0", {"arm": "base"}):
                pass
        hook.before_node_run(Node(curve, "number", "x", namespace="net"))
        live_metrics(1, {"loss": 1.0})
        hook.after_pipeline_run()
        parent, *below = sorted(runs_of(project), key=lambda r: r.info.start_time)
        points = {"partition_0.loss": 0.5, "partition_1.loss": 0.25, "loss": 1.0}
        assert parent.data.metrics == points
        parts = ["partition_0", "partition_1"]
        assert [r.info.run_name for r in below] == [f"{p} / flange, base, seed 0" for p in parts]
        assert [r.data.params["part"] for r in below] == parts

    def test_outside_a_session_nothing_is_logged(self, project):
        with nested_run("alone", {}) as on_metrics:
            on_metrics(1, {"loss": 0.5})
        assert client_of(project).get_experiment_by_name("defectsynth") is None
