"""Versions that belong together, through runs of a small project that fail, repeat and mix."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from kedro.framework.hooks import _create_hook_manager
from kedro.framework.hooks.manager import _register_hooks
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from defectsynth_pipeline.hooks.belonging import belonging
from defectsynth_pipeline.hooks.lineage import Lineage
from defectsynth_pipeline.options import MaskOptions
from refusals import refused

AUGMENT = Pipeline(
    [
        Node(lambda parts: parts, "corpora", "samples", name="ingest"),
        Node(lambda samples, options: [samples, "masks"], ["samples", "params:masks"], "masks"),
        Node(lambda masks, fails: 1 / (not fails), ["masks", "fails"], "generator", name="train"),
        Node(lambda *all_: all_[1], ["generator", "masks"], "synthetic_images", name="render"),
    ]
)
DOWNSTREAM = Pipeline(
    [
        Node(lambda samples, images: [samples, images], ["samples", "synthetic_images"], "bank"),
        Node(lambda bank, samples: bank, ["bank", "samples"], "verdict", name="judge"),
    ]
)
WHOLE = AUGMENT + DOWNSTREAM


configure_project("defectsynth_pipeline")  # its pipelines are named in errors


class Project:
    """Runs pipelines as `KedroSession.run` does, in a folder; versions are v1, v2, ..."""

    def __init__(self, folder):
        self.folder, self.runs, self.hook = folder, 0, Lineage()
        self.manager = _create_hook_manager()
        _register_hooks(self.manager, (self.hook,))
        self.manager.hook.after_context_created(context=SimpleNamespace(project_path=folder))

    def catalog(self, save_version=None, load_versions=None):
        names = ("samples", "masks", "synthetic_images", "verdict")
        entries = {
            name: {
                "type": "json.JSONDataset",
                "filepath": f"{self.folder}/data/{name}.json",
                "versioned": True,
            }
            for name in names
        }
        catalog = DataCatalog.from_config(
            entries, load_versions=load_versions, save_version=save_version
        )
        self.manager.hook.after_catalog_created(
            catalog=catalog,
            conf_catalog={},
            conf_creds={},
            parameters={},
            save_version=save_version,
            load_versions=load_versions,
        )
        return catalog

    def run(self, pipeline, *, parts="a", fails=False, count=4, load_versions=None, missing=False):
        self.runs += 1
        version = f"v{self.runs}"
        catalog = self.catalog(version, load_versions)
        catalog["corpora"], catalog["fails"] = MemoryDataset(parts), MemoryDataset(fails)
        catalog["params:masks"] = MemoryDataset(MaskOptions(count=count))
        for name in ("generator", "bank"):
            catalog[name] = MemoryDataset(copy_mode="assign")
        params = {"run_id": version, "pipeline_names": ["some"], "env": "smoke"}
        params |= {"load_versions": load_versions, "only_missing_outputs": missing}
        params |= {"runtime_params": {"masks": {"count": count}}}
        told = {"run_params": params, "pipeline": pipeline, "catalog": catalog}
        hook = self.manager.hook
        hook.before_pipeline_run(**told)
        try:
            SequentialRunner().run(pipeline, catalog, self.manager, only_missing_outputs=missing)
        except Exception as error:
            hook.on_pipeline_error(error=error, **told)
            raise
        hook.after_pipeline_run(run_result={}, **told)
        return catalog

    def record(self, version):
        return json.loads((self.folder / "data" / "runs" / f"{version}.json").read_text())


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def spoiled(project):
    """A whole run, and one on other parts that failed after its masks."""
    project.run(AUGMENT)
    with pytest.raises(ZeroDivisionError):
        project.run(AUGMENT, parts="b", fails=True)
    return project


def test_a_version_says_all_that_it_was_made_from(project):
    project.run(AUGMENT, count=7)
    entries = project.record("v1")["entries"]
    assert entries["synthetic_images"]["made_from"] == {"samples": "v1", "masks": "v1"}
    assert entries["samples"]["made_from"] == {}
    assert entries["masks"]["settings"]["masks"]["count"] == 7
    assert project.record("v1")["status"] == "finished"


def test_what_follows_a_failed_run_reads_what_the_last_images_were_made_from(spoiled, caplog):
    caplog.set_level("INFO")
    catalog = spoiled.run(DOWNSTREAM)
    assert catalog.load("verdict") == ["a", ["a", "masks"]]
    assert "reading samples, synthetic_images of v1" in caplog.messages
    assert any("left: samples of v2" in message for message in caplog.messages)
    assert spoiled.record("v2")["status"].startswith("failed: ")
    assert spoiled.record("v3")["entries"]["verdict"]["made_from"] == {
        "samples": "v1",
        "masks": "v1",
        "synthetic_images": "v1",
    }


def test_a_run_that_begins_behind_the_failure_reads_what_the_failed_one_made(spoiled):
    catalog = spoiled.run(AUGMENT.from_nodes("train"))
    assert catalog.load("synthetic_images") == ["b", "masks"]
    assert spoiled.run(DOWNSTREAM).load("verdict") == ["b", ["b", "masks"]]


def test_who_looks_sees_what_the_images_were_made_from(spoiled):
    assert spoiled.catalog().load("samples") == "a"
    assert spoiled.catalog(load_versions={"samples": "v2"}).load("samples") == "b"


def test_versions_that_the_user_names_win_and_bring_what_belongs_to_them(spoiled, caplog):
    spoiled.run(AUGMENT, parts="c")
    old = spoiled.run(DOWNSTREAM, load_versions={"synthetic_images": "v1"})
    assert old.load("verdict") == ["a", ["a", "masks"]]
    mixed = spoiled.run(DOWNSTREAM, load_versions={"samples": "v2"})
    assert mixed.load("verdict") == ["b", ["c", "masks"]]
    assert any("not from the v2 that --load-versions names" in m for m in caplog.messages)


@pytest.mark.parametrize(
    ("pipeline", "versions", "problem"),
    [
        (DOWNSTREAM, {"samples": "v7"}, "no such version of samples"),
        (AUGMENT, {"samples": "v1"}, "does not read, or makes itself"),
    ],
)
def test_versions_that_cannot_be_read_are_refused(spoiled, pipeline, versions, problem):
    with refused(problem, *versions):
        spoiled.run(pipeline, load_versions=versions)


def test_what_was_never_made_is_refused_at_once(project):
    with refused("has not been made yet", remedy="--pipeline=augment"):
        project.run(DOWNSTREAM)
    assert not (project.folder / "data" / "runs").exists()


def test_only_what_is_missing_is_made_if_the_rest_would_be_the_same(project):
    with pytest.raises(ZeroDivisionError):
        project.run(AUGMENT, fails=True)
    catalog = project.run(AUGMENT, parts="other", missing=True)
    assert catalog.load("synthetic_images") == ["a", "masks"]
    with refused("made with other parameters", "masks v1", "masks.count = 4, now 5"):
        project.run(AUGMENT, count=5, missing=True)


def test_outputs_of_two_runs_are_no_whole(spoiled):
    with refused("do not belong together", "synthetic_images v1", "the latest is v2"):
        spoiled.run(AUGMENT, missing=True)


def test_the_record_says_how_to_repeat_the_run(spoiled):
    spoiled.run(DOWNSTREAM)
    assert spoiled.record("v3")["command"] == (
        "kedro run --pipeline=some --env=smoke "
        "--load-versions=samples:v1,synthetic_images:v1 --params=masks.count=4"
    )


def test_a_record_that_cannot_be_read_is_named(spoiled):
    (spoiled.folder / "data" / "runs" / "v1.json").write_text("{")
    with refused("record of a run cannot be read", "v1.json", remedy="delete it"):
        Project(spoiled.folder).run(DOWNSTREAM)


def test_older_versions_are_taken_where_the_newest_do_not_belong_together():
    versions = {"masks": ["v3", "v1"], "model": ["v1"], "samples": ["v3", "v2", "v1"]}
    records = {(name, v): {"samples": v} for name in ("masks", "model") for v in versions[name]}
    assert belonging(versions, lambda *key: records.get(key, {}), {}) == dict.fromkeys(
        versions, "v1"
    )
    assert belonging({**versions, "masks": ["v3"]}, lambda *k: records.get(k, {}), {}) is None
