"""Geometric and photometric augmentation of real base images."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.arms.augmentation import KEPT
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.registry import ARMS

from .builders import DARKENING

TYPES = ["dent", "scratch"]
STILL = {"fill": "reflect", "flip_y": False, "flip_x": False}
STILL |= {"angle": 0.0, "scale": 1.0, "dy": 0.0, "dx": 0.0}


def test_the_mask_moves_with_its_defect(bank: Bank) -> None:
    for recipe in ARMS["geometric"].plan(bank, "plate", ["dent"], 12, 0):
        real, moved = bank.example(recipe["source"]), ARMS["geometric"].make(bank, recipe)
        surface = np.median(real.image)
        assert moved.image[moved.mask].mean() == pytest.approx(surface / DARKENING, rel=0.25)
        assert np.median(moved.image[~moved.mask]) == pytest.approx(surface, rel=0.05)
        assert moved.mask.sum() > 0.6 * KEPT * real.mask.sum()


def test_images_differ_from_their_sources(bank: Bank) -> None:
    for name in ("geometric", "photometric"):
        for recipe in ARMS[name].plan(bank, "x ray", TYPES, 6, 0):
            real, made = bank.example(recipe["source"]), ARMS[name].make(bank, recipe)
            assert (real.image != made.image).mean() > 0.5


@pytest.mark.parametrize("turn", [{}, {"flip_x": True}, {"flip_y": True, "flip_x": True}])
def test_a_mirror_image_is_exact(bank: Bank, turn: dict[str, bool]) -> None:
    source = bank.base("plate")["sample_id"].iloc[0]
    recipe = STILL | turn | {"source": source}
    real, made = bank.example(source), ARMS["geometric"].make(bank, recipe)
    steps = [-1 if turn.get(name) else 1 for name in ("flip_y", "flip_x")]
    assert (made.image == real.image[:: steps[0], :: steps[1]]).all()
    assert (made.mask == real.mask[:: steps[0], :: steps[1]]).all()


def test_a_defect_that_comes_in_at_the_border_is_labelled(bank: Bank) -> None:
    source = bank.base("plate", "dent")["sample_id"].iloc[0]
    real = bank.example(source)
    below = int(np.argwhere(real.mask)[:, 0].max())
    made = ARMS["geometric"].make(bank, STILL | {"dy": below + 3.0, "source": source})
    dark = made.image.mean(-1) < 0.6 * np.median(real.image)
    assert made.mask[: below + 3].any()
    assert (dark == made.mask).all()


def test_only_textures_are_continued_by_their_mirror_image(bank: Bank) -> None:
    for category, types, fill in (("plate", TYPES, "reflect"), ("bracket", ["spot"], "nearest")):
        recipes = ARMS["geometric"].plan(bank, category, types, 4, 0)
        assert {recipe["fill"] for recipe in recipes} == {fill}
    moved = ARMS["geometric"].make(bank, recipes[0] | {"scale": 0.5, "angle": 0.0})
    assert moved.image[[0, -1]].max() < 60  # ground, not another part


def test_light_leaves_the_mask(bank: Bank) -> None:
    brightness = []
    for recipe in ARMS["photometric"].plan(bank, "plate", TYPES, 12, 0):
        real, made = bank.example(recipe["source"]), ARMS["photometric"].make(bank, recipe)
        assert (made.mask == real.mask).all()
        brightness.append(made.image.mean() / real.image.mean())
    assert 0.4 < min(brightness) < 0.95
    assert 1.05 < max(brightness) < 2
