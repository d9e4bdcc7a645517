"""What is refused before a run begins."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

from categories import publish_set
from defectsynth_pipeline.datasets import (
    CorpusFoldersDataset,
    PretrainedModelDataset,
    ReviewDataset,
)
from defectsynth_pipeline.hooks.checks import EarlyChecks, ReviewCheck
from defectsynth_pipeline.options import ArmOptions, ProtocolOptions, SynthesisOptions
from defectsynth_pipeline.review.decisions import apply_review, fingerprint_of_pictures
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


def test_trainings_of_detectors_need_more_space(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=500 << 20))
    pipeline = Pipeline([Node(lambda protocol: 1, "params:protocol", "x")])
    catalog = DataCatalog({"params:protocol": MemoryDataset(ProtocolOptions())})
    checks = EarlyChecks()
    checks.after_context_created(SimpleNamespace(project_path=tmp_path))
    with refused("too little free space", "500 MB free, about 600 MB needed"):
        checks.before_pipeline_run({"runner": "SequentialRunner"}, pipeline, catalog)


def test_an_unknown_arm_ends_the_run_at_once(tmp_path):
    pipeline = Pipeline([Node(lambda arms: 1, "params:arms", "x")])
    catalog = DataCatalog({"params:arms": MemoryDataset(ArmOptions(names=["base", "cut_paste"]))})
    checks = EarlyChecks()
    checks.after_context_created(SimpleNamespace(project_path=tmp_path))
    with refused("unknown arm", "cut_paste", remedy="did you mean cutpaste?"):
        checks.before_pipeline_run({"runner": "SequentialRunner"}, pipeline, catalog)


APPLY = Node(apply_review, ["synthetic_images", "review"], "reviewed_images")
MAKE = Node(lambda parts: parts, "parts", "synthetic_images", name="make")


def reviewed(tmp_path, **changes):
    """A catalog with a set of two images, and a review of it."""
    plan = pd.DataFrame({"image_id": ["a", "b"], "category": "plate", "defect_type": "dent"})

    def render(row):
        pixels = np.full((8, 8), ord(row.image_id), np.uint8)
        return {"image": pixels, "mask": pixels > 0}

    images = publish_set(tmp_path / "synthetic_images", plan, render)
    pictures = fingerprint_of_pictures(images)
    told = {"format": "defectsynth-review-1", "set": "f00d", "pictures": pictures, "version": "v1"}
    file = tmp_path / "review.json"
    file.write_text(json.dumps(told | {"images": {"a": {"verdict": "rejected"}}} | changes))
    review = ReviewDataset(review=str(file), path=str(tmp_path / "synthetic_images"))
    return DataCatalog(
        {"review": review, "synthetic_images": MemoryDataset(images, copy_mode="assign")}
    ), images


def check(catalog, *nodes):
    """What is asked before a run: first of the file, then of the images that were chosen."""
    checks = EarlyChecks()
    checks.after_context_created(SimpleNamespace(project_path="."))
    checks.before_pipeline_run({"runner": "SequentialRunner"}, Pipeline(nodes), catalog)
    ReviewCheck().before_pipeline_run(Pipeline(nodes), catalog)


def test_a_review_of_the_images_that_are_read_may_be_used(tmp_path):
    catalog, images = reviewed(tmp_path)
    check(catalog, APPLY)
    assert apply_review(images, catalog.load("review")).manifest["image_id"].tolist() == ["b"]
    assert apply_review(images, None) is images


def test_a_review_of_other_images_than_those_read_is_refused(tmp_path):
    catalog, images = reviewed(tmp_path)
    others = images.manifest.assign(of_set="beef")
    catalog["synthetic_images"] = MemoryDataset(
        replace(images, manifest=others), copy_mode="assign"
    )
    with refused("of another set", "review.json", "set f00d of v1, and not beef"):
        check(catalog, APPLY)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"images": {"a": {"verdict": "maybe"}}}, "no decision"),
        ({"images": {"c": {"verdict": "accepted"}}}, "not in the set"),
        ({"set": "beef"}, "of no set of this project"),
    ],
)
def test_a_review_that_cannot_be_used_ends_augment_too(tmp_path, changes, problem):
    catalog, _ = reviewed(tmp_path, **changes)
    with refused(problem, "review.json"):
        check(catalog, Node(lambda review: 1, "review", "defect_masks"))


def test_a_run_that_makes_images_first_takes_no_review(tmp_path):
    catalog, _ = reviewed(tmp_path)
    with refused("would make others first", "review.json", remedy="downstream alone"):
        check(catalog, MAKE, APPLY)
