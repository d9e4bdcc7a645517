from __future__ import annotations

import numpy as np
import pytest
import torch

from categories import surface
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features.encoder import CHANNELS, STRIDES, feature_levels, patch_features
from defectsynth_pipeline.features.memory import PatchMemory, farthest_first

SHAPE = (64, 96, 3)


@pytest.fixture(scope="module")
def memory() -> PatchMemory:
    return PatchMemory.of(
        patch_features(surface(seed, SHAPE)[None]).flatten(0, 2) for seed in range(4)
    )


def test_levels_have_the_sizes_that_are_told() -> None:
    images = np.stack([surface(seed, (60, 90, 3)) for seed in range(2)])
    for level, stride, channels in zip(feature_levels(images), STRIDES, CHANNELS, strict=True):
        assert level.shape == (2, channels, -(-60 // stride), -(-90 // stride))
    assert patch_features(images).shape == (2, 8, 12, 152)


def test_what_is_held_has_no_distance(memory: PatchMemory) -> None:
    held = patch_features(surface(2, SHAPE)[None])
    assert float(memory.distances(held).max()) < 1e-2
    assert memory.distances(held).shape == (1, 8, 12)


def test_a_defect_is_farther_than_an_unseen_good_surface(memory: PatchMemory) -> None:
    good = surface(9, SHAPE)
    bad = good.copy()
    bad[24:40, 40:56] = 0
    clean, seen = (memory.score_map(image, SHAPE[:2]) for image in (good, bad))
    assert seen[24:40, 40:56].mean() > 1.5 * clean.max()
    assert np.unravel_index(seen.argmax(), SHAPE[:2])[0] in range(20, 44)


def test_a_coreset_leaves_nothing_far() -> None:
    generator = torch.Generator().manual_seed(0)
    clouds = torch.cat([torch.randn(50, 152, generator=generator) + 100 * k for k in range(5)])
    chosen = farthest_first(clouds, 5, generator)
    assert sorted((chosen // 50).tolist()) == [0, 1, 2, 3, 4]
    assert torch.equal(farthest_first(clouds, 1000, generator), torch.arange(250))


def test_an_empty_memory_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to hold"):
        PatchMemory.of([])
