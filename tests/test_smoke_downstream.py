"""`downstream` through real sessions in env smoke, after `augment`: what it leaves and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from defectsynth_pipeline.cli.detect import detect
from defectsynth_pipeline.cli.project import Project
from refusals import refused
from sessions import (
    artifact,
    client_of,
    make_project,
    open_catalog,
    open_session,
    run,
    runs_of,
    versions,
)

WRITTEN = {
    "classification_plan",
    "classifiers",
    "classification_results",
    "classification_history",
    "classification_report",
    "confusion_matrices",
    "localization_plan",
    "localizers",
    "localization_results",
    "localization_history",
    "localization_report",
    "detection_curves",
    "prediction_overlays",
    "verdict",
    "verdict_page",
    "verdict_figure",
    "ratio_curve",
    "ratio_figure",
    "training_curves",
    "verdict_report",
    "review_summary",
}
ARMS = {"base", "crop_paste", "defectsynth"}


@pytest.fixture(scope="module")
def augmented(tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path) -> Path:
    """A project in which `augment` has run on the demo."""
    project = make_project(tmp_path_factory.mktemp("downstream") / "project", mlflow_template)
    run(project)
    return project


@pytest.fixture(scope="module")
def judged(augmented: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which `downstream` has run too."""
    project = tmp_path_factory.mktemp("judged") / "project"
    shutil.copytree(augmented, project)
    run(project, "downstream")
    return project


@pytest.fixture(scope="module")
def catalog(judged: Path) -> Any:
    return open_catalog(judged)


def test_every_entry_has_one_version(augmented: Path, judged: Path) -> None:
    new = {k: v for k, v in versions(judged).items() if k not in versions(augmented)}
    assert set(new) == WRITTEN
    assert {len(v) for v in new.values()} == {1}
    assert not list((judged / "data").rglob(".partial*"))


def test_arms_have_equal_sets(catalog: Any) -> None:
    for task in ("classification", "localization"):
        plan = catalog.load(f"{task}_plan")
        without_defects = {"normals_only"} if task == "localization" else set()
        assert set(plan["arm"]) == ARMS | without_defects
        plan = plan[plan["arm"] != "normals_only"]  # it has every good image once
        sizes = plan.groupby(["category", "arm"]).size().unstack()
        assert (sizes.nunique(axis=1) == 1).all()


def test_only_test_images_judge_and_none_of_them_trains(catalog: Any) -> None:
    split = catalog.load("samples").set_index("sample_id")["split"]
    for task in ("classification", "localization"):
        used = {s for cell in catalog.load(f"{task}_plan")["sources"] for s in cell.split("|") if s}
        assert set(split.loc[sorted(used)]) <= {"base", "normal"}
    predictions = catalog.load("classification_results").predictions
    assert set(split.loc[predictions["sample_id"].unique()]) == {"test"}


def test_a_category_of_one_type_is_left_out_of_classification_alone(catalog: Any) -> None:
    assert set(catalog.load("classification_report")["category"]) == {"flange"}
    assert len(set(catalog.load("localization_report")["category"])) == 4


def test_reports_have_intervals_around_their_values(catalog: Any) -> None:
    report = catalog.load("localization_report")
    rows = report[(report["metric"] == "pixel_auroc") & (report["against"] == "")]
    assert rows["value"].between(0, 1).all()
    assert (rows["low"] <= rows["high"]).all()
    assert (report["partition"] == 0).all()
    assert (report["split_protocol"] == "random_third").all()


def test_the_verdict_covers_every_type_and_comparison(catalog: Any) -> None:
    verdict, page = catalog.load("verdict"), catalog.load("verdict_page")
    assert set(verdict["verdict"]) <= {"pays", "no evidence", "cannot judge", "harms"}
    made = verdict[(verdict["arm"] == "defectsynth") & (verdict["task"] == "localization")]
    samples = catalog.load("samples")
    types = set(samples.loc[samples["split"] == "base", "defect_type"])
    assert set(made["defect_type"]) >= types
    assert set(made["against"]) == {"base", "crop_paste", "normals_only"}
    for defect_type in types:
        assert defect_type in page


def test_pictures_can_be_looked_at(judged: Path) -> None:
    names = ("confusion_matrices", "detection_curves", "prediction_overlays", "verdict_figure")
    for name in (*names, "training_curves", "ratio_figure"):
        (path,) = (judged / "data" / "08_reporting").glob(f"{name}.png/*/{name}.png")
        with Image.open(path) as picture:
            assert min(picture.size) > 100
            assert np.asarray(picture.convert("L")).std() > 3


def test_the_quality_of_the_same_images_is_measured(augmented: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(augmented, project)
    catalog = run(project, "quality")
    table, samples = catalog.load("generation_quality"), catalog.load("samples")
    types = samples.loc[samples["split"] == "base", "defect_type"]
    assert set(table["defect_type"]) == {*types, "all"}
    assert set(table["arm"]) == {"real", "defectsynth", "crop_paste", "untouched"}
    assert table["kid"].notna().any()
    (path,) = (project / "data" / "08_reporting").glob("generation_quality_figure.png/*/*.png")
    with Image.open(path) as picture:
        assert np.asarray(picture.convert("L")).std() > 3
    last = next(r for r in runs_of(project) if r.data.tags.get("pipeline") == "quality")
    file = "generation_quality/generation_quality.json"
    assert file in last.data.tags["mlflow.loggedArtifacts"]  # by which MLflow finds tables
    assert len(json.loads(artifact(last, file).read_text())["data"]) == len(table)
    assert last.data.tags["images"] == str(len(catalog.load("synthetic_images")))
    page = catalog.load("quality_report")
    assert "Quality of every arm's images" in page
    assert (project / "data" / "latest" / "report.html").read_text(encoding="utf-8") == page


def test_models_can_be_used_again(catalog: Any) -> None:
    import torch

    model = catalog.load("localizers").model("flange", "defectsynth")
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 64, 64)


def test_mlflow_has_a_nested_run_per_training(judged: Path, catalog: Any) -> None:
    runs = runs_of(judged)
    parent = next(r for r in runs if r.data.tags.get("pipeline") == "downstream")
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    trained = 0
    for task, where in (("classification", 1), ("localization", 4)):
        history = catalog.load(f"{task}_history")
        one = [n for n in history if n in ("category", "detector", "arm", "seed", "fold")]
        trained += (count := len(history[one].drop_duplicates()))
        assert count >= where * 2 * 3 + where * 2  # arms and seeds, and the paper's detector
    assert len(children) == trained
    assert {r.info.status for r in children} == {"FINISHED"}
    client = client_of(judged)
    names = {k for r in children for k in r.data.metrics}
    assert {"loss", "test.pixel_ap", "test.accuracy"} <= names
    assert {n for n in names if "dent" in n} == set(), "types are rows of tables"
    assert max(len(r.data.metrics) for r in children) <= 8
    stepwise = next(r for r in children if "loss" in r.data.metrics)  # others are fitted at once
    assert client.get_metric_history(stepwise.info.run_id, "loss")


def test_both_runs_show_the_verdict_in_numbers_and_words(judged: Path) -> None:
    runs = {r.data.tags["pipeline"]: r for r in runs_of(judged) if "pipeline" in r.data.tags}
    made, told = runs["augment"], runs["downstream"]
    for name in ("localization.difference", "localization.pays_share"):
        assert made.data.metrics[name] == told.data.metrics[name]
    own = [n for n in made.data.metrics if not n.startswith("system/")]
    assert len(own) <= 8
    for run_ in (made, told):
        note = run_.data.tags["mlflow.note.content"]
        assert note.startswith("### Does it pay?")
    assert "### Images" in made.data.tags["mlflow.note.content"]
    assert made.data.tags["judged_by"] == told.info.run_id


def test_the_same_seed_gives_the_same_report(augmented: Path, catalog: Any, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(augmented, project)
    again = run(project, "downstream")
    for name in ("classification_report", "localization_report", "verdict"):
        pd.testing.assert_frame_equal(again.load(name), catalog.load(name))


def test_a_test_image_in_the_base_folder_stops_the_run(augmented: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(augmented, project)
    catalog = open_catalog(project)
    samples = catalog.load("samples")
    mine = samples[(samples["category"] == "flange") & (samples["defect_type"] == "dent")]
    base, test = (mine[mine["split"] == split].iloc[0] for split in ("base", "test"))
    moved = samples.assign(root=samples["root"].str.replace(str(augmented), str(project)))
    catalog.save("samples", moved)
    root = Path(moved["root"][mine.index[0]])
    shutil.copy(root / test["image"], root / base["image"])
    newest = {"samples": max(versions(project)["samples"])}
    with pytest.raises(Exception, match="test") as caught:
        run(project, "downstream", load_versions=newest)
    assert base["image"] in str(caught.value)
    assert test["image"] in str(caught.value)
    assert not set(versions(project)) & WRITTEN


def test_another_partition_than_the_images_were_made_from_is_left_or_refused(
    augmented: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = tmp_path / "project"
    shutil.copytree(augmented, project)
    (whole,) = versions(project)["samples"]
    run(project, "ingest", ingest={"partition": 1})
    other = max(versions(project)["samples"])
    only = ["open_bank"]
    caplog.set_level("INFO")
    run(project, "downstream", node_names=only)
    assert f"reading defect_masks, samples, synthetic_images of {whole}" in caplog.messages
    assert any(f"left: samples of {other}" in message for message in caplog.messages)
    assert (open_catalog(project).load("samples")["partition"] == 0).all()
    with pytest.raises(Exception, match="test"):
        run(project, "downstream", node_names=only, load_versions={"samples": other})


def test_the_verdicts_detector_looks_at_new_photographs(judged: Path, tmp_path: Path) -> None:
    with open_session(judged) as session:
        catalog = session.load_context().config_loader["catalog"]
    project = Project(judged, {}, catalog, {})
    photographs = tmp_path / "new"
    shutil.copytree(judged / "data/01_raw/demo/mvtec/flange/test/good", photographs)
    (photographs / "broken.png").write_bytes(b"no picture")
    with refused("not said of which category", remedy="flange"):
        detect(project, photographs, tmp_path / "out", None, None)
    said = detect(project, photographs, tmp_path / "out", "flange", None)
    table = pd.read_csv(tmp_path / "out" / "detections.csv", keep_default_na=False)
    assert len(table) == len(list(photographs.iterdir()))
    (broken,) = table[table["defective"] == ""].to_dict("records")
    assert broken["file"] == "broken.png"
    assert all((tmp_path / "out" / place).is_file() for place in table["heat_map"] if place)
    assert "1 left out" in said[-1]
    with refused("overwrite"):
        detect(project, photographs, tmp_path / "out", "flange", "defectsynth")


def test_what_was_made_is_exported_by_a_pipeline(augmented: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(augmented, project)
    told = {"out": str(tmp_path / "coco"), "rejected": True}
    catalog = run(project, "export", export=told)
    assert catalog.load("export_card") == (tmp_path / "coco" / "README.md").read_text("utf-8")
    with refused("overwrite", remedy="--out"):
        run(project, "export", export=told)
    with refused("where to export", remedy="export.out"):
        run(project, "export")
