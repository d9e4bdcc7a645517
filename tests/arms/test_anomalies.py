"""CutPaste and DRAEM: anomalies without types."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.registry import ARMS

TYPES = ["dent", "scratch"]


@pytest.mark.parametrize("category", ["plate", "x ray", "bracket"])
@pytest.mark.parametrize("name", ["cutpaste", "draem"])
def test_only_the_mask_changes(bank: Bank, name: str, category: str) -> None:
    changed = []
    for recipe in ARMS[name].plan(bank, category, TYPES, 10, 0):
        normal, made = bank.example(recipe["source"]), ARMS[name].make(bank, recipe)
        assert (made.image[~made.mask] == normal.image[~made.mask]).all()
        assert not normal.mask.any()
        changed.append((made.image != normal.image)[made.mask].mean())
    assert np.median(changed) > 0.6


def test_cutpaste_keeps_to_the_papers_sizes(bank: Bank) -> None:
    for number, recipe in enumerate(ARMS["cutpaste"].plan(bank, "plate", TYPES, 40, 0)):
        height, width = recipe["size"]
        if number % 2 == 0:
            assert recipe["angle"] == 0
            assert 0.015 < height * width / (64 * 80) < 0.17
            assert max(height / width, width / height) < 3.3 * 1.2
        else:
            assert abs(recipe["angle"]) <= 45
            assert height <= 25 * 64 / 256 + 0.5
            assert width <= 16 * 64 / 256 + 0.5


def test_cutpaste_patches_come_from_elsewhere(bank: Bank) -> None:
    for recipe in ARMS["cutpaste"].plan(bank, "plate", TYPES, 20, 0):
        move = np.abs(np.subtract(recipe["from"], recipe["to"])) * 2
        assert (move >= recipe["size"]).any()


def test_draem_textures_are_procedural_and_other_normals(bank: Bank) -> None:
    recipes = ARMS["draem"].plan(bank, "plate", TYPES, 10, 0)
    textures = [recipe["texture"] for recipe in recipes]
    normals = set(bank.normals("plate")["sample_id"])
    assert sum(not name for name in textures) == 5
    assert {name for name in textures if name} <= normals
    assert all(recipe["texture"] != recipe["source"] for recipe in recipes)
    assert all(0.1 <= recipe["opacity"] <= 1 for recipe in recipes)


def test_draem_masks_differ_in_shape_and_size(bank: Bank) -> None:
    arm = ARMS["draem"]
    areas = [arm.make(bank, r).mask.mean() for r in arm.plan(bank, "bracket", ["spot"], 16, 0)]
    assert 0.001 <= min(areas) < max(areas) < 0.6
    assert len(set(areas)) > 12
