from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.shape.parents import Parents
from defectsynth_pipeline.shape.render import geometric_mask, perlin_mask, perlin_noise
from shape.builders import masks_of
from shape.conftest import WriteSamples


def parents_of(samples: pd.DataFrame) -> Parents:
    size = (int(samples["height"].iloc[0]), int(samples["width"].iloc[0]))
    return Parents(samples, size, 0.25)


def test_perlin_noise_is_zero_on_its_lattice_and_smooth_between() -> None:
    noise = perlin_noise(np.random.default_rng(0), (64, 64), 4)
    assert np.abs(noise[::16, ::16]).max() < 1e-12
    assert 0.2 < np.abs(noise).max() <= 1
    assert np.abs(np.diff(noise, axis=0)).max() < 0.25


def test_perlin_masks_have_an_area_of_the_base_masks(write_samples: WriteSamples) -> None:
    parents = parents_of(write_samples({"stain": masks_of("stain")}))
    for seed in range(20):
        mask = perlin_mask(np.random.default_rng(seed), (96, 96), parents.bounds)
        assert parents.bounds.area[0] <= mask.sum() <= parents.bounds.area[1]


@pytest.mark.parametrize("kind", ["crack", "scratch", "speck"])
def test_geometric_masks_keep_the_shape_but_not_the_place(
    write_samples: WriteSamples, kind: str
) -> None:
    parents = parents_of(write_samples({kind: masks_of(kind)}))
    name = next(iter(parents.masks))
    masks = [geometric_mask(np.random.default_rng(seed), parents, name) for seed in range(8)]
    centres = np.array([np.argwhere(mask).mean(axis=0) for mask in masks if mask.any()])
    assert centres.std(axis=0).min() > 5
    if kind != "crack":  # cracks may leave the frame
        areas = [mask.sum() for mask in masks]
        assert min(areas) >= parents.bounds.area[0] * 0.95
        assert max(areas) <= parents.bounds.area[1] * 1.05
