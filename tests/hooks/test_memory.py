"""What only memory holds is made again, in sight of the other hooks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kedro.framework.hooks import _create_hook_manager, hook_impl
from kedro.framework.hooks.manager import _register_hooks
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.hooks import memory


class Seen:
    """A hook that notes what it is told."""

    def __init__(self):
        self.loaded, self.errors = [], []

    @hook_impl
    def after_dataset_loaded(self, dataset_name):
        self.loaded.append(dataset_name)

    @hook_impl
    def on_pipeline_error(self, error, run_params):
        self.errors.append((str(error), run_params["run_id"]))


def open_bank(samples):
    if samples < 0:
        raise ValueError("a test image")
    return samples + 1


WHOLE = Pipeline([Node(open_bank, "samples", "bank"), Node(repr, "bank", "plan")])


@pytest.fixture
def begin(monkeypatch):
    """Calls the hooks as `KedroSession.run` does, up to where the pipeline runs."""
    monkeypatch.setattr(memory, "pipelines", {"whole": WHOLE, "again": WHOLE})
    seen = Seen()
    manager = _create_hook_manager()
    _register_hooks(manager, (memory.MemoryRefill(), seen))
    manager.hook.after_context_created(context=SimpleNamespace(_hook_manager=manager))

    def run(pipeline, samples):
        catalog = DataCatalog({"samples": MemoryDataset(samples)})
        catalog["bank"], catalog["plan"] = MemoryDataset(), MemoryDataset()
        manager.hook.before_pipeline_run(
            run_params={"run_id": "v1"}, pipeline=pipeline, catalog=catalog
        )
        return catalog

    return run, seen


def test_a_run_that_begins_behind_memory_finds_it_filled(begin):
    run, seen = begin
    assert run(WHOLE.from_inputs("bank"), 1).load("bank") == 2
    assert "samples" in seen.loaded


def test_nothing_is_made_twice(begin):
    run, seen = begin
    assert not run(WHOLE, 1).exists("bank")
    assert seen.loaded == []


def test_a_failure_is_told_to_the_other_hooks(begin):
    run, seen = begin
    with pytest.raises(ValueError, match="a test image"):
        run(WHOLE.from_inputs("bank"), -1)
    assert seen.errors == [("a test image", "v1")]
