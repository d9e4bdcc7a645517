from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import SafetensorError

from categories import surface
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.plan import plan_training
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.detectors import WEIGHTS, DetectorSet, write_detector
from defectsynth_pipeline.inspection.experiment import run_classification, run_localization
from defectsynth_pipeline.inspection.jobs import count_synthetic, make_jobs
from defectsynth_pipeline.inspection.localization import Localization, score_maps
from defectsynth_pipeline.inspection.results import (
    META_COLUMNS,
    ClassificationResults,
    LocalizationResults,
)
from defectsynth_pipeline.options import ExecutionOptions, PaperUNetOptions
from defectsynth_pipeline.verdict.comparison import COLUMNS
from defectsynth_pipeline.verdict.report import classification_report
from defectsynth_pipeline.workers import crew
from refusals import refused
from small_models import changed

from .parts import CLASSIFICATION, LOCALIZATION, PAPER, PROTOCOL, Tracked

ARMS = ["base", "crop_paste", "normals_only"]
ONE_SEED = changed(PROTOCOL, seeds=[0])
KEY = ("mvtec", "plate", "resnet18", "crop_paste", 0)


@pytest.fixture(scope="module")
def plan(bank: Bank) -> pd.DataFrame:
    return plan_training(bank, ARMS, "localization", LOCALIZATION.training_set)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def localized(
    plan: pd.DataFrame, bank: Bank, work: Path
) -> tuple[DetectorSet, LocalizationResults, pd.DataFrame, Tracked]:
    track = Tracked()
    return *run_localization(plan, bank, LOCALIZATION, PROTOCOL, work, track), track


def test_every_arm_and_seed_is_tested_on_all_test_images(localized, bank: Bank) -> None:
    _, results, history, _ = localized
    assert list(results.meta.columns) == list(META_COLUMNS)
    assert len(results.stats) == len(results.meta) == 6
    test = bank.samples[bank.samples["split"] == "test"]
    for stats in results.stats.values():
        assert set(stats.images["sample_id"]) == set(test["sample_id"])
    sizes = results.meta.groupby("arm")["set_size"].unique()
    assert {arm: list(of_arm) for arm, of_arm in sizes.items()} == {
        "base": [10],
        "crop_paste": [10],
        "normals_only": [4],  # the normals there are
    }
    assert set(results.meta["selected"]) == {"last"}
    steps = history.groupby(["arm", "seed"])["step"].max()
    assert steps.to_dict() == {
        (arm, seed): 0 if arm == "normals_only" else 3 for arm in ARMS for seed in (0, 1)
    }


def test_what_is_synthetic_is_counted(localized) -> None:
    counts = localized[1].meta.groupby("arm")["n_synthetic"].first()
    assert counts["base"] == 0
    assert counts["normals_only"] == 0
    assert counts["crop_paste"] == 4


def test_the_final_metrics_are_tracked_per_arm_and_seed(localized) -> None:
    track = localized[3]
    assert "localization crop_paste seed 1 (plate, resnet18)" in track.runs
    assert "localization normals_only seed 1 (plate, patchcore)" in track.runs
    for name, points in track.runs.items():
        step, values = points[-1]
        assert step == (0 if "patchcore" in name else 3)
        assert 0 <= values["test.pixel_ap"] <= 1


def test_overlays_are_of_the_same_images_in_all_arms(localized, bank: Bank) -> None:
    shown = [set(maps) for maps in localized[1].overlays.values()]
    assert len(shown) == 3
    assert shown[0] == shown[1] == shown[2]
    rows = bank.samples.set_index("sample_id").loc[sorted(shown[0])]
    assert set(rows["defect_type"]) == {"dent", "scratch", "good"}
    maps = next(iter(localized[1].overlays.values()))
    assert {(m.shape, m.dtype.name) for m in maps.values()} == {((48, 64), "uint8")}


def test_results_survive_the_disk(localized, tmp_path: Path) -> None:
    results = localized[1]
    results.save(tmp_path)
    loaded = LocalizationResults.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.meta, results.meta)
    assert loaded.stats[KEY].metrics() == pytest.approx(results.stats[KEY].metrics(), nan_ok=True)
    first, again = (r.overlays["mvtec", "plate", "resnet18", "base"] for r in (results, loaded))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_a_saved_detector_works_again(localized, tmp_path: Path) -> None:
    detectors = localized[0]
    detectors.save(tmp_path)
    loaded = DetectorSet.load(tmp_path)
    networks = dict(zip(ARMS, ("resnet18", "resnet18", "patchcore"), strict=True))
    assert set(loaded.folders) == {("mvtec", "plate", networks[arm], arm) for arm in ARMS}
    assert loaded.meta("plate", "crop_paste")["side"] == 48
    image = surface(3, (36, 48, 3))
    for arm in ARMS:
        model = loaded.model("plate", arm)
        assert next(model.parameters()).dtype == torch.float32
        maps = score_maps(model, image[None])
        assert maps.shape == (1, 36, 48)
        assert float(maps.std()) > 0
    with pytest.raises(InputError, match="plate, draem"):
        loaded.model("plate", "draem")


def test_a_saved_detector_takes_no_room_of_its_own(localized, tmp_path: Path) -> None:
    localized[0].save(tmp_path)
    for number, source in enumerate(localized[0].folders.values()):
        assert (tmp_path / f"{number:03d}" / WEIGHTS).samefile(source / WEIGHTS)


def test_without_links_a_detector_is_copied(localized, tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    localized[0].save(tmp_path)
    for number, source in enumerate(localized[0].folders.values()):
        copy = tmp_path / f"{number:03d}" / WEIGHTS
        assert not copy.samefile(source / WEIGHTS)
        assert copy.read_bytes() == (source / WEIGHTS).read_bytes()


def test_a_full_disk_is_said_in_one_line(localized, tmp_path: Path, monkeypatch) -> None:
    """As safetensors says it, which is no OSError; nothing half is left."""
    detectors = localized[0]
    meta = detectors.meta("plate", "base") | {"checkpoint_step": 3}

    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("defectsynth_pipeline.inspection.detectors.save_file", full)
    task = Localization(LOCALIZATION, "resnet18", meta["types"])
    with refused("the disk is full", remedy="free some space"):
        write_detector(detectors.model("plate", "base"), task, meta, tmp_path / "x.detector")
    assert not list(tmp_path.iterdir())


def test_finished_trainings_are_not_repeated(localized, plan, bank, work: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in work.rglob("entry.json")}
    assert len(before) == 6
    lost = sorted(before)[0].parent
    shutil.rmtree(lost)
    track = Tracked()
    _, results, history = run_localization(plan, bank, LOCALIZATION, PROTOCOL, work, track)
    after = {path: path.stat().st_mtime_ns for path in work.rglob("entry.json")}
    assert set(after) == set(before)
    assert {p for p in after if after[p] != before[p]} == {lost / "entry.json"}
    # The lost one was trained anew and came out the same; the others are tracked again too.
    for key, stats in localized[1].stats.items():
        assert results.stats[key].metrics() == stats.metrics() or np.isnan(stats.metrics()["pro"])
    pd.testing.assert_frame_equal(history, localized[2])
    assert track.runs == localized[3].runs


def test_two_processes_train_what_one_does(localized, plan, bank, tmp_path: Path) -> None:
    """As in a run, one thread each; `localized` was trained in this process."""
    track = Tracked()
    with crew(ExecutionOptions(workers=2)) as each:
        detectors, results, history = run_localization(
            plan, bank, LOCALIZATION, PROTOCOL, tmp_path, track, each
        )
    for key, stats in localized[1].stats.items():
        assert results.stats[key].metrics() == stats.metrics() or np.isnan(stats.metrics()["pro"])
    pd.testing.assert_frame_equal(history, localized[2])
    assert track.runs == localized[3].runs
    for arm in ARMS[:2]:
        one, other = (d.model("plate", arm).state_dict() for d in (localized[0], detectors))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_validation_and_legacy_in_a_used_work_folder(plan, bank, tmp_path: Path) -> None:
    protocol = changed(ONE_SEED, select="validation", legacy=True, folds=2)
    short = plan[plan["arm"] == "crop_paste"]
    stale = tmp_path / "0123456789abcdef"
    stale.mkdir()
    (tmp_path / "0123456789abcdef.pt").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not ours")
    _, results, history = run_localization(short, bank, LOCALIZATION, protocol, tmp_path, Tracked())
    meta = results.meta.set_index("selected")
    assert list(meta.index) == ["validation", "legacy_best_test"]
    curves = history[history["fold"] >= 0].pivot_table(
        index="step", columns="fold", values="held_out_score"
    )
    assert list(curves.index) == [2, 3]
    assert list(curves.columns) == [0, 1]
    best = curves.mean(axis=1).idxmax()
    assert meta.loc["validation", "checkpoint_step"] == best
    assert meta.loc["validation", "steps"] == best
    whole = history[history["fold"] < 0]
    assert whole["step"].max() == best
    highest = whole["legacy_best_test"].max()
    assert results.legacy[KEY].metrics()["pixel_ap"] == pytest.approx(highest)
    # What other experiments left is gone, what is not ours is not.
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", "", "", ".txt"]
    assert not stale.exists()


@pytest.fixture(scope="module")
def classified(
    bank: Bank, tmp_path_factory: pytest.TempPathFactory
) -> tuple[DetectorSet, ClassificationResults, pd.DataFrame]:
    """Two arms of equal rows, so that only their names differ."""
    names = ["base", "base@4"]
    plan = plan_training(bank, names, "classification", CLASSIFICATION.training_set)
    work = tmp_path_factory.mktemp("types")
    return run_classification(plan, bank, CLASSIFICATION, PROTOCOL, work, Tracked())


def test_every_test_image_of_a_type_is_classified(classified, bank: Bank) -> None:
    detectors, results, history = classified
    predicted = results.predictions
    test = bank.samples.query("split == 'test' and defect_type != 'good'")
    for _, run in predicted.groupby(["arm", "seed"]):
        assert sorted(run["sample_id"]) == sorted(test["sample_id"])
    assert set(predicted["defect_type"]) == {"dent", "scratch"} >= set(predicted["predicted"])
    assert set(history["task"]) == {"classification"}
    assert detectors.model("plate", "base").fc.out_features == 2


def test_predictions_survive_the_disk(classified, tmp_path: Path) -> None:
    results = classified[1]
    results.save(tmp_path)
    loaded = ClassificationResults.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.predictions, results.predictions)
    pd.testing.assert_frame_equal(loaded.meta, results.meta)


def test_start_and_order_are_the_same_in_every_arm(classified) -> None:
    predicted = classified[1].predictions.pivot_table(
        index="sample_id", columns=["arm", "seed"], values="probabilities", aggfunc="first"
    )
    assert (predicted["base"] == predicted["base@4"]).to_numpy().all()
    assert (predicted["base", 0] != predicted["base", 1]).any()


def test_classification_without_a_category_of_two_types_is_empty(
    plan, bank, tmp_path: Path
) -> None:
    tracked = Tracked()
    detectors, results, history = run_classification(
        plan, bank, CLASSIFICATION, PROTOCOL, tmp_path / "work", tracked
    )
    results.save(tmp_path / "results")
    loaded = ClassificationResults.load(tmp_path / "results")
    detectors.save(tmp_path / "detectors")
    assert loaded.predictions.empty
    assert loaded.meta.empty
    assert history.empty
    report = classification_report(loaded, PROTOCOL)
    assert report.empty
    assert list(report.columns) == list(COLUMNS)


def test_localization_without_a_category_is_refused(plan, bank, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to train"):
        run_localization(plan.iloc[:0], bank, LOCALIZATION, PROTOCOL, tmp_path, Tracked())


def test_no_test_images_is_an_error(plan, bank: Bank, tmp_path: Path) -> None:
    without = bank.samples[bank.samples["split"] != "test"]
    blind = Bank(without, bank.synthetic, bank.masks)
    with pytest.raises(InputError, match="mvtec/plate"):
        run_localization(plan, blind, LOCALIZATION, ONE_SEED, tmp_path, Tracked())


def keys(plan: pd.DataFrame, bank: Bank, options: object, protocol: object) -> dict[object, str]:
    jobs = make_jobs("localization", plan, bank, options, protocol)  # type: ignore[arg-type]
    return {(job.arm, job.seed): job.key for job in jobs}


def test_categories_share_the_steps_of_auto(bank: Bank) -> None:
    auto = changed(LOCALIZATION, training={"steps": "auto"})
    plan = plan_training(bank, ["base"], "localization", auto.training_set)
    five = pd.concat([plan.assign(category=name) for name in "abcde"])
    for several, steps in ((plan, 500), (five, 130)):
        jobs = make_jobs("localization", several, bank, auto, ONE_SEED)
        assert {job.detector.options.training.steps for job in jobs} == {steps}


def test_only_what_decides_an_outcome_is_in_its_key(bank: Bank) -> None:
    plan = plan_training(bank, ["base", "crop_paste"], "localization", LOCALIZATION.training_set)
    before = keys(plan, bank, LOCALIZATION, PROTOCOL)
    assert len(set(before.values())) == 4
    same = changed(PROTOCOL, seeds=[0, 1, 2], bootstrap=100, confidence=0.9)
    assert before.items() <= keys(plan, bank, LOCALIZATION, same).items()
    alone = keys(plan[plan["arm"] == "base"], bank, LOCALIZATION, PROTOCOL)
    assert alone.items() <= before.items()
    steps = changed(LOCALIZATION, training={"steps": 4})
    other = [keys(plan, bank, steps, PROTOCOL)]
    other += [keys(plan, bank, LOCALIZATION, changed(PROTOCOL, select="validation"))]
    retouched = bank.samples.assign(sha256="0" * 64)
    other += [keys(plan, Bank(retouched, bank.synthetic, bank.masks), LOCALIZATION, PROTOCOL)]
    for changed_keys in other:
        assert not set(changed_keys.values()) & set(before.values())


def test_weights_that_came_since_are_another_training(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    plan = plan_training(bank, ["base"], "localization", LOCALIZATION.training_set)
    options = changed(LOCALIZATION, training={"weights": "auto"}, encoder="resnet18")
    before = keys(plan, bank, options, PROTOCOL)
    published = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    published.parent.mkdir(parents=True)
    published.write_bytes(b"weights")
    assert not set(keys(plan, bank, options, PROTOCOL).values()) & set(before.values())


@pytest.mark.parametrize(
    ("arm", "count"),
    [
        ("base", 0),
        ("crop_paste", 4),
        ("crop_paste@2", 2),
        ("crop_paste@0", 0),
        ("base+crop_paste", 2),
        ("defectsynth", 4),
    ],
)
def test_only_images_of_the_arms_own_making_count(bank: Bank, arm: str, count: int) -> None:
    plan = plan_training(bank, [arm], "localization", LOCALIZATION.training_set)
    (job, *_) = make_jobs("localization", plan, bank, LOCALIZATION, PROTOCOL)
    assert count_synthetic(job.rows) == count


def test_an_image_of_another_system_counts() -> None:
    recipe = json.dumps({"defect_type": "dent", "source": "x/0", "sources": []})
    rows = pd.DataFrame({"kind": ["own", "own"], "recipe": [recipe, recipe]})
    assert count_synthetic(rows) == 1


def test_the_papers_detector_is_trained_beside_and_compared_on_held_out_base_images(
    plan, bank: Bank, tmp_path: Path
) -> None:
    options = LOCALIZATION.model_copy(update={"paper": PaperUNetOptions.model_validate(PAPER)})
    detectors, results, history = run_localization(
        plan, bank, options, PROTOCOL, tmp_path, Tracked()
    )
    trained = results.meta.groupby(["role", "detector", "arm"])["seed"].unique().map(list).to_dict()
    assert trained == {
        ("main", "resnet18", "base"): [0, 1],
        ("main", "resnet18", "crop_paste"): [0, 1],
        ("main", "patchcore", "normals_only"): [0, 1],
        ("paper", "resnet34", "base"): [0],
    }
    assert set(results.meta.query("role == 'paper'")["steps"]) == {2}
    held = results.meta.groupby("role")["held_out"].unique()
    assert all(len(values) == 1 and 0 <= values[0] <= 1 for values in held)
    judged = history.dropna(subset=["held_out_score"])
    assert set(judged["arm"]) == {"base"}
    assert set(judged["detector"]) == {"resnet18", "resnet34"}
    assert held["paper"][0] == judged.query("detector == 'resnet34'")["held_out_score"].iloc[-1]
    assert detectors.meta("plate", "base")["network"] == "resnet18"
    assert detectors.meta("plate", "base", "resnet34")["side"] == 32
