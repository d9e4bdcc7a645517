"""Scenes the compact base is pretrained on: in range, labelled exactly, and reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.compact.scenes import DEFECTS, SIDE, SURFACES, field, scene, surface


def test_fields_are_standardised(rng: np.random.Generator) -> None:
    for sigma in (0.5, 4, (1, 9)):
        values = field(rng, sigma)
        assert values.shape == (SIDE, SIDE)
        assert values.mean() == pytest.approx(0, abs=1e-9)
        assert values.std() == pytest.approx(1, abs=1e-3)


def test_surfaces_are_in_range_and_of_all_kinds(rng: np.random.Generator) -> None:
    names = set()
    for _ in range(80):
        image, name = surface(rng)
        names.add(name)
        assert image.shape == (SIDE, SIDE, 3)
        assert 0 <= image.min() < image.max() <= 1
    assert names == set(SURFACES)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_shows_where_its_mask_is(name: str, rng: np.random.Generator) -> None:
    inside, outside = [], []
    for _ in range(12):
        background, _ = surface(rng)
        image, mask = DEFECTS[name](rng, background)
        assert mask.shape == (SIDE, SIDE)
        assert mask.dtype == bool
        if not mask.any():
            continue
        change = np.abs(np.clip(image, 0, 1) - background).max(-1)
        inside.append(change[mask].mean())
        outside.append(change[~mask].mean())
    assert len(inside) >= 10
    assert np.mean(inside) > 5 * np.mean(outside)


def test_scenes_of_all_sorts() -> None:
    scenes = [scene(np.random.default_rng([0, i])) for i in range(200)]
    masked = [s for s in scenes if s.mask.any()]
    drawn = [s for s in scenes if s.caption == "a binary mask"]
    assert 0.6 < len(masked) / 200 < 0.85
    assert 3 <= len(drawn) <= 25
    assert all(set(np.unique(s.image)) <= {0.0, 1.0} for s in drawn)
    assert {s.caption.split(" with ")[1] for s in masked} == set(DEFECTS)
    for one in scenes:
        assert 0 <= one.image.min() <= one.image.max() <= 1
    again = scene(np.random.default_rng([0, 5]))
    assert np.array_equal(again.image, scenes[5].image)
    assert np.array_equal(again.mask, scenes[5].mask)
