"""What is refused before a run begins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

from defectsynth_pipeline.datasets import CorpusFoldersDataset, PretrainedModelDataset
from defectsynth_pipeline.hooks.checks import EarlyChecks
from defectsynth_pipeline.options import ArmOptions, SynthesisOptions
from refusals import refused

PIPELINE = Pipeline([Node(lambda *all_: 1, ["corpora", "base_model", "params:synthesis"], "x")])


def begin(tmp_path, *, model="compact", runner=SequentialRunner, count=2):
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "a.png").write_bytes(b"x" * 1000)
    catalog = DataCatalog({"base_model": PretrainedModelDataset(model=model)})
    catalog["corpora"] = CorpusFoldersDataset(filepath=str(parts))
    catalog["params:synthesis"] = MemoryDataset(SynthesisOptions(count=count))
    checks = EarlyChecks()
    checks.after_context_created(SimpleNamespace(project_path=tmp_path))
    checks.before_pipeline_run({"runner": str(runner())}, PIPELINE, catalog)


@pytest.mark.parametrize("runner", [ThreadRunner, ParallelRunner])
def test_runners_that_mix_nodes_are_refused_in_one_line(tmp_path, runner):
    with refused("beside one another", runner.__name__, remedy="use --runner=SequentialRunner"):
        begin(tmp_path, runner=runner)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_usual_runner_may_load_and_save_as_it_likes(tmp_path, is_async):
    begin(tmp_path, runner=lambda: SequentialRunner(is_async=is_async))


def test_a_base_model_that_is_not_there_ends_the_run_at_once(tmp_path):
    with refused("base model folder not found", "nowhere/at/all"):
        begin(tmp_path, model="nowhere/at/all")


def test_a_full_disk_ends_the_run_at_once(tmp_path, monkeypatch):
    space = SimpleNamespace(free=500 << 20)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: space)
    begin(tmp_path, count=1000)
    (tmp_path / "parts").rename(tmp_path / "other")
    with refused("too little free space", "500 MB free, about 1253 MB needed"):
        begin(tmp_path, count=1_000_000)


def test_an_unknown_arm_ends_the_run_at_once(tmp_path):
    pipeline = Pipeline([Node(lambda arms: 1, "params:arms", "x")])
    catalog = DataCatalog({"params:arms": MemoryDataset(ArmOptions(names=["base", "cut_paste"]))})
    checks = EarlyChecks()
    checks.after_context_created(SimpleNamespace(project_path=tmp_path))
    with refused("unknown arm", "cut_paste", remedy="did you mean cutpaste?"):
        checks.before_pipeline_run({"runner": "SequentialRunner"}, pipeline, catalog)
