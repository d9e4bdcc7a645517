"""The training plan: equal sets, shared real rows, no test image."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.plan import make_example, plan_training, skipped_categories
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import ArmOptions, SetOptions
from defectsynth_pipeline.schemas import own_columns
from small_models import changed

from .builders import with_manifest

ARMS = ["base", "geometric", "crop_paste", "crop_paste@3"]
SMALL = SetOptions(count=6, real=7, normals=4)


@pytest.fixture(scope="module")
def plan(bank: Bank) -> pd.DataFrame:
    return plan_training(bank, ARMS, "localization", SMALL)


def rows_of(plan: pd.DataFrame, arm: str, category: str = "plate") -> pd.DataFrame:
    return plan[(plan["arm"] == arm) & (plan["category"] == category)]


def test_all_sets_have_one_size(plan: pd.DataFrame) -> None:
    assert list(plan.columns) == own_columns("localization_plan")
    sizes = plan.groupby(["category", "arm"]).size()
    assert len(sizes) == 3 * len(ARMS)
    assert set(sizes) == {17}
    for _, rows in plan.groupby(["category", "arm"]):
        assert list(rows["row"]) == list(range(17))


def test_every_arm_has_normals(plan: pd.DataFrame) -> None:
    for arm in ARMS:
        counts = rows_of(plan, arm)["kind"].value_counts().to_dict()
        assert counts == {"real": 7, "own": 6, "normal": 4}


def test_normals_only_shows_each_normal_once(bank: Bank) -> None:
    rows = rows_of(plan_training(bank, ["normals_only"], "localization", SMALL), "normals_only")
    assert list(rows["source"]) == list(bank.normals("plate")["sample_id"])
    assert set(rows["kind"]) == {"normal"}


def test_real_and_normal_rows_are_the_same_in_all_arms(plan: pd.DataFrame) -> None:
    def shared(arm: str, kind: str) -> list[str]:
        rows = rows_of(plan, arm)
        return list(rows.loc[rows["kind"] == kind, "source"])

    for arm in ARMS[1:]:
        assert shared(arm, "real") == shared("base", "real")
        assert shared(arm, "normal") == shared("base", "normal")


def test_rows_can_be_made_from_a_plan_that_went_through_a_file(
    bank: Bank, plan: pd.DataFrame, tmp_path: Path
) -> None:
    plan.to_csv(tmp_path / "plan.csv", index=False)
    again = pd.read_csv(tmp_path / "plan.csv", keep_default_na=False)
    for row, other in zip(plan.to_dict("records"), again.to_dict("records"), strict=True):
        if row["category"] == "x ray" and row["row"] in (0, 8, 12):
            one, two = make_example(bank, row), make_example(bank, other)
            assert (one.image == two.image).all()
            assert one.mask.any() == (row["kind"] != "normal")


def test_the_same_seed_gives_the_same_plan(bank: Bank, plan: pd.DataFrame) -> None:
    assert plan.equals(plan_training(bank, ARMS, "localization", SMALL))
    other = replace(bank, options=ArmOptions(seed=1))
    assert not plan.equals(plan_training(other, ARMS, "localization", SMALL))


def test_an_arm_does_not_depend_on_its_company(bank: Bank, plan: pd.DataFrame) -> None:
    alone = plan_training(bank, ["crop_paste"], "localization", SMALL)
    beside = plan[plan["arm"] == "crop_paste"].reset_index(drop=True)
    assert alone.equals(beside)


def test_classification_has_no_normals_and_needs_two_types(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        plan = plan_training(bank, ["base", "draem", "geometric"], "classification", SMALL)
    assert set(plan["kind"]) == {"real", "own"}
    assert set(plan.groupby(["category", "arm"]).size()) == {13}
    assert set(plan["category"]) == {"plate", "x ray"}
    assert set(plan["arm"]) == {"base", "geometric"}
    assert "bracket is left out of classification: one defect type only" in caplog.text
    assert "draem knows no defect types" in caplog.text


def test_each_base_sample_once(bank: Bank) -> None:
    options = SetOptions(count=3, per="type", real=None, normals=0)
    plan = plan_training(bank, ["base", "geometric"], "localization", options)
    rows = rows_of(plan, "geometric")
    real = rows.loc[rows["kind"] == "real", "source"]
    assert sorted(real) == sorted(bank.base("plate")["sample_id"])
    assert (rows["kind"] == "own").sum() == 6  # three of each of two types


def test_real_rows_are_shared_evenly_among_types(bank: Bank) -> None:
    options = SetOptions(count=1, real=20, normals=0)
    plan = plan_training(bank, ["geometric"], "localization", options)
    real = plan[(plan["kind"] == "real") & (plan["category"] == "plate")]
    assert real["defect_type"].value_counts().to_dict() == {"dent": 10, "scratch": 10}
    assert real["source"].value_counts().max() <= 4


def test_skipped_categories(bank: Bank) -> None:
    assert skipped_categories(bank.samples, "localization") == {}
    assert list(skipped_categories(bank.samples, "classification")) == ["bracket"]
    no_base = bank.samples[
        (bank.samples["category"] != "plate") | (bank.samples["split"] != "base")
    ]
    assert "no base samples" in skipped_categories(no_base, "localization")["plate"]
    assert skipped_categories(no_base, "localization").keys() == {"plate"}


def test_a_run_whose_categories_are_all_skipped_has_an_empty_plan(bank: Bank) -> None:
    only = replace(bank, samples=bank.samples[bank.samples["category"] == "bracket"])
    plan = plan_training(only, ["base"], "classification", SMALL)
    assert plan.empty
    assert list(plan.columns) == own_columns("localization_plan")


def test_a_category_without_normals(bank: Bank) -> None:
    samples = bank.samples[bank.samples["split"] != "normal"]
    bare = replace(bank, samples=samples)
    without = changed(SMALL, normals=0)
    assert len(plan_training(bare, ["base"], "localization", without)) == 3 * 13
    with pytest.raises(InputError, match="no defect-free images"):
        plan_training(bare, ["base"], "localization", SMALL)


def test_a_test_image_among_the_sources_stops_the_plan(bank: Bank) -> None:
    test = bank.samples[(bank.samples["split"] == "test") & (bank.samples["category"] == "plate")]
    plate = replace(bank, samples=bank.samples[bank.samples["category"] == "plate"])
    leaky = with_manifest(plate, reference=test["sample_id"].iloc[0])
    with pytest.raises(InputError, match="a test image reached a training set"):
        plan_training(leaky, ["defectsynth"], "localization", SMALL)
    lost = with_manifest(plate, reference="mvtec/plate/dent/gone")
    with pytest.raises(InputError, match="no longer there"):
        plan_training(lost, ["defectsynth"], "localization", SMALL)


@pytest.mark.parametrize(
    ("names", "task", "expected"),
    [
        (["base", "crop_past"], "localization", "did you mean crop_paste"),
        (["draem"], "classification", "no arm is left"),
        (["base"], "segmentation", "unknown task"),
    ],
)
def test_wrong_names(bank: Bank, names: list[str], task: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        plan_training(bank, names, task, SMALL)


def test_recipes_are_json(plan: pd.DataFrame) -> None:
    for row in plan.itertuples():
        recipe = json.loads(row.recipe)
        assert recipe["source"] == row.source
        assert "|".join(recipe["sources"]) == row.sources
