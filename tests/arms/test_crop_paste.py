"""Real defects pasted on normals: the right pixels, in the right place, at the right brightness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from categories import SHAPE
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.registry import ARMS

from .builders import DARKENING, SIDE, pose, spot_centre

TYPES = ["dent", "scratch"]


def number_of(sample_id: str) -> int:
    return int(sample_id[-3:])


@pytest.mark.parametrize("category", ["plate", "x ray"])
def test_a_hard_paste_is_the_donors_pixels_in_the_mask_and_the_normals_outside(
    bank: Bank, category: str
) -> None:
    arm = ARMS["crop_paste"]
    for recipe in arm.plan(bank, category, TYPES, 8, 0):
        donor, normal = bank.example(recipe["source"]), bank.example(recipe["background"])
        pasted = arm.make(bank, recipe)
        assert (pasted.image[~pasted.mask] == normal.image[~pasted.mask]).all()
        assert pasted.mask.sum() == donor.mask.sum()
        assert (pasted.image[pasted.mask] == donor.image[donor.mask]).all()


def test_places_on_a_texture_vary_and_stay_in_the_frame(bank: Bank) -> None:
    recipes = ARMS["crop_paste"].plan(bank, "plate", TYPES, 20, 0)
    places = {(recipe["dy"], recipe["dx"]) for recipe in recipes}
    assert len(places) > 10
    assert len({recipe["background"] for recipe in recipes}) > 2


def test_both_versions_have_the_same_places(bank: Bank) -> None:
    hard, matched = (
        ARMS[name].plan(bank, "plate", TYPES, 6, 5) for name in ("crop_paste", "crop_paste_matched")
    )
    assert hard == matched


def test_matching_brings_the_defect_to_the_brightness_of_its_place(bank: Bank) -> None:
    """The donor's defect is a third of its surface, so it must be a third of the new one."""
    hard, matched = ARMS["crop_paste"], ARMS["crop_paste_matched"]
    apart = {"crop_paste": [], "crop_paste_matched": []}
    for recipe in matched.plan(bank, "plate", ["dent"], 12, 1):
        goal = bank.example(recipe["background"]).image.mean() / DARKENING
        for name, arm in (("crop_paste", hard), ("crop_paste_matched", matched)):
            pasted = arm.make(bank, recipe)
            apart[name].append(abs(pasted.image[pasted.mask].mean() - goal) / goal)
    assert max(apart["crop_paste_matched"]) < 0.06
    assert np.mean(apart["crop_paste"]) > 2 * np.mean(apart["crop_paste_matched"])


def test_a_match_changes_nothing_beyond_its_feather(bank: Bank) -> None:
    arm = ARMS["crop_paste_matched"]
    for recipe in arm.plan(bank, "x ray", TYPES, 4, 1):
        pasted, normal = arm.make(bank, recipe), bank.example(recipe["background"])
        far = distance_transform_edt(~pasted.mask) > 2
        assert (pasted.image[far] == normal.image[far]).all()
        assert (pasted.image[~far] != normal.image[~far]).any()


@pytest.mark.parametrize("name", ["crop_paste", "crop_paste_matched"])
def test_on_a_part_the_defect_lies_where_it_lay_on_its_own(bank: Bank, name: str) -> None:
    """Parts lie turned at random; the spot has one place on them."""
    misses = []
    for recipe in ARMS[name].plan(bank, "bracket", ["spot"], 8, 0):
        pasted = ARMS[name].make(bank, recipe)
        goal = spot_centre(number_of(recipe["background"]))
        misses.append(np.linalg.norm(np.argwhere(pasted.mask).mean(0) - goal))
        turn = pose(number_of(recipe["background"]))[0] - pose(100 + number_of(recipe["source"]))[0]
        assert abs((recipe["angle"] - turn + 180) % 360 - 180) < 6
        assert 40 < pasted.image[pasted.mask].mean() < 100  # a third of the part, not the ground
    assert np.median(misses) < 3
    assert max(misses) < 8


def test_the_fixture_is_what_the_tests_think(bank: Bank) -> None:
    sizes = bank.samples.groupby("category")[["height", "width"]].first()
    assert tuple(sizes.loc["plate"]) == SHAPE
    assert tuple(sizes.loc["bracket"]) == (SIDE, SIDE)
