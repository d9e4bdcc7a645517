"""What all arms have in common, and their names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.registry import ARMS, arm_names, parse
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import ArmOptions

from .builders import external_set

TYPES = ["dent", "scratch"]
ANOMALIES = {"cutpaste", "draem"}
DEFECTIVE = [name for name in ARMS if name != "normals_only"]


@pytest.mark.parametrize("category", ["plate", "x ray"])
@pytest.mark.parametrize(
    "name", [*DEFECTIVE, "geometric+crop_paste", "defectsynth@3", "photometric@0"]
)
def test_every_arm_keeps_the_interface(bank: Bank, name: str, category: str) -> None:
    arm = parse(name)
    recipes = arm.plan(bank, category, TYPES, 5, 7)
    assert len(recipes) == 5
    assert recipes == arm.plan(bank, category, TYPES, 5, 7)
    wanted = ["anomaly"] * 5 if name in ANOMALIES else [TYPES[i % 2] for i in range(5)]
    if "+" not in name and "@" not in name:
        assert [recipe["defect_type"] for recipe in recipes] == wanted
    known = bank.samples.set_index("sample_id")["split"]
    for recipe in recipes:
        assert {known[source] for source in recipe["sources"]} <= {"base", "normal"}
        assert recipe["sources"]
        example = arm.make(bank, json.loads(json.dumps(recipe)))
        assert example.image.dtype == (np.uint16 if category == "x ray" else np.uint8)
        assert example.image.shape[:2] == example.mask.shape == (64, 80)
        assert example.mask.dtype == bool
        assert example.mask.any()
        again = arm.make(bank, recipe)
        assert (again.image == example.image).all()
        assert (again.mask == example.mask).all()


@pytest.mark.parametrize("name", ["base", "geometric", "crop_paste", "cutpaste", "draem"])
def test_a_smaller_plan_is_the_beginning_of_a_larger_one(bank: Bank, name: str) -> None:
    arm = parse(name)
    few, many = (arm.plan(bank, "plate", TYPES, n, 3) for n in (4, 9))
    assert many[:4] == few
    assert arm.plan(bank, "plate", TYPES, 4, 4) != few


def test_every_base_image_comes_once_before_any_comes_twice(bank: Bank) -> None:
    for name in ("base", "geometric", "photometric", "crop_paste"):
        sources = [recipe["source"] for recipe in parse(name).plan(bank, "plate", TYPES, 6, 0)]
        assert sorted(sources) == sorted(bank.base("plate")["sample_id"])


@pytest.mark.parametrize("name", ["normals_only+base", "crop_paste+normals_only", "normals_only@3"])
def test_an_arm_without_defects_stands_alone(name: str) -> None:
    with pytest.raises(InputError, match="cannot be mixed or limited"):
        parse(name)
    assert parse("normals_only").tasks == ("localization",)


def test_a_mixture_takes_turns_between_the_images_of_its_parts(bank: Bank) -> None:
    mixed = parse("crop_paste+defectsynth").plan(bank, "plate", TYPES, 5, 3)
    pasted = ARMS["crop_paste"].plan(bank, "plate", TYPES, 3, 3)
    made = ARMS["defectsynth"].plan(bank, "plate", TYPES, 2, 3)
    assert [recipe["part"] for recipe in mixed] == [0, 1, 0, 1, 0]
    turns = [pasted[0], made[0], pasted[1], made[1], pasted[2]]
    assert [recipe["recipe"] for recipe in mixed] == turns
    assert [recipe["source"] for recipe in mixed[:2]] == [pasted[0]["source"], made[0]["source"]]


def test_a_limit_repeats_the_first_images(bank: Bank) -> None:
    alone = ARMS["crop_paste"].plan(bank, "plate", TYPES, 3, 3)
    limited = parse("crop_paste@3").plan(bank, "plate", TYPES, 8, 3)
    assert limited == [alone[i % 3] for i in range(8)]
    assert parse("crop_paste@50").plan(bank, "plate", TYPES, 3, 3) == alone


def test_a_limit_of_none_equals_base(bank: Bank) -> None:
    none, real = (parse(n).plan(bank, "plate", TYPES, 7, 3) for n in ("draem@0", "base"))
    assert none == real
    example = parse("draem@0").make(bank, none[0])
    assert (example.image == bank.example(none[0]["source"]).image).all()


def test_anomalies_are_for_localization_only() -> None:
    assert parse("cutpaste").tasks == parse("draem@20").tasks == ("localization",)
    assert parse("crop_paste+draem").tasks == ("localization",)
    assert "classification" in parse("crop_paste+defectsynth@50").tasks


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("crop_past", "did you mean crop_paste?"),
        ("base+croppaste_matched", "did you mean crop_paste_matched?"),
        ("nonsense", "external:<name>"),
        ("external:", "unknown arm"),
        ("", "unknown arm"),
        ("defectsynth@", "whole number"),
        ("defectsynth@-5", "whole number"),
        ("defectsynth@many", "whole number"),
    ],
)
def test_unknown_names(name: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        parse(name)
    assert expected in str(error.value)


def test_names_with_a_ratio_curve() -> None:
    options = ArmOptions(names=["base", "defectsynth@25"], ratio=[0, 25])
    assert arm_names(options) == ["base", "defectsynth@25", "defectsynth@0"]
    with pytest.raises(InputError, match="single arm"):
        arm_names(ArmOptions(ratio=[25], ratio_arm="crop_paste+defectsynth"))


@pytest.fixture
def given(bank: Bank, tmp_path: Path) -> Bank:
    """The bank with the external set `other`."""
    return replace(bank, external={"other": external_set(tmp_path)})


def test_external_images(given: Bank) -> None:
    arm = parse("external:other")
    recipes = arm.plan(given, "plate", TYPES, 6, 0)
    assert len({recipe["source"] for recipe in recipes}) == 6
    assert all(recipe["sources"] == [] for recipe in recipes)
    assert arm.make(given, recipes[0]).mask.any()


def test_too_few_external_images(given: Bank) -> None:
    with pytest.raises(InputError, match="plate/dent: 3 images, 4 asked") as error:
        parse("external:other").plan(given, "plate", TYPES, 7, 0)
    assert "external:other@6" in str(error.value)
    assert len(parse("external:other@6").plan(given, "plate", TYPES, 7, 0)) == 7
    with pytest.raises(InputError, match="x ray/dent: 0 images"):
        parse("external:other").plan(given, "x ray", TYPES, 2, 0)


def test_an_external_set_that_is_not_given(bank: Bank, given: Bank) -> None:
    with pytest.raises(InputError, match="did you mean external:other"):
        parse("external:othr").plan(given, "plate", TYPES, 2, 0)
    with pytest.raises(InputError, match=r"add seas: .* to arms\.external"):
        parse("external:seas").plan(bank, "plate", TYPES, 2, 0)
