"""Real defects pasted on normals: the right pixels, in the right place, at the right brightness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from categories import SHAPE
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.motion import Motion, in_values_of, land, landed_mask
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


def test_a_motion_there_and_back() -> None:
    motion = Motion(1.5, 33.0, 4.2, -7.1, 20.0, 31.0)
    points = np.random.default_rng(0).uniform(0, 60, (10, 2))
    assert np.allclose(motion.back(motion.onto(points)), points)
    quarter = Motion(angle=90.0, centre_y=10.0, centre_x=10.0)
    assert np.allclose(quarter.onto(np.array([[10.0, 14.0]])), [[14.0, 10.0]])


def test_turning_by_splines_gives_the_same_picture() -> None:
    y, x = np.indices((80, 80))
    image = (120 + 60 * np.sin(y / 5) * np.cos(x / 6)).round().astype(np.uint8)
    mask = np.hypot(y - 38, x - 42) < 12
    motion = Motion(angle=90.0, dy=3.0, dx=-2.0, centre_y=40.0, centre_x=40.0)
    patch = land(image, mask, motion, np.zeros((80, 80), np.uint8), 4)
    expected = np.roll(np.rot90(np.pad(image, ((0, 1), (0, 1)))[:81, :81], -1), (3, -2), (0, 1))
    assert np.abs(patch.values[..., 0] - expected[patch.window])[patch.inside].max() < 1
    assert landed_mask(mask, motion, (80, 80)).sum() == mask.sum()


def test_sizes_that_differ_are_scaled() -> None:
    mask = np.zeros((40, 60), dtype=bool)
    mask[10:20, 10:30] = True
    placed = landed_mask(mask, Motion(scale=2.0), (80, 120))
    assert placed.sum() == 4 * mask.sum()
    assert placed[20:40, 20:60].all()


def test_a_thin_stroke_survives_its_turn() -> None:
    mask = np.zeros((80, 80), dtype=bool)
    mask[20:60, 40] = True
    for angle in (10.0, 33.0, 45.0, 118.0):
        placed = landed_mask(mask, Motion(1.0, angle, 0.4, 0.3, 40.0, 40.0), (80, 80))
        assert placed.sum() > 0.6 * mask.sum()


def test_native_values_of_one_camera_are_not_rescaled() -> None:
    dark, bright = (np.full((4, 4), v, np.uint16) for v in (900, 4000))
    assert (in_values_of(dark, bright) == 900).all()
    grey, colour = np.full((4, 4), 51, np.uint8), np.zeros((4, 4, 3), np.uint8)
    assert in_values_of(grey, colour).shape == (4, 4, 3)
    assert np.allclose(in_values_of(grey, np.full((4, 4), 65535, np.uint16)), 65535 / 5)


def test_the_fixture_is_what_the_tests_think(bank: Bank) -> None:
    sizes = bank.samples.groupby("category")[["height", "width"]].first()
    assert tuple(sizes.loc["plate"]) == SHAPE
    assert tuple(sizes.loc["bracket"]) == (SIDE, SIDE)
