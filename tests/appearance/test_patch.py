"""A residual put together from patches of real defects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from defectsynth_pipeline.appearance.patch import patched

from .test_transfer import PAIRS, SIZE, defective, disc, photograph, stroke


def made(real_mask: np.ndarray, mask: np.ndarray, share: float = 0.5, **given: float) -> np.ndarray:
    exemplars = [(defective(real_mask, share, 0.6), real_mask)]
    return patched(photograph(0.5, 2), mask, exemplars, np.random.default_rng(0), **given)


@PAIRS
def test_outside_the_collar_is_the_background(real_mask: np.ndarray, mask: np.ndarray) -> None:
    image, background = made(real_mask, mask), photograph(0.5, 2)
    outside = ndimage.distance_transform_edt(~mask) > 2
    assert (np.rint(image[outside] * 255) == background[outside]).all()
    assert image.shape == background.shape
    assert image.min() >= 0
    assert image.max() <= 1


@PAIRS
@pytest.mark.parametrize("severity", [1.0, 0.5])
def test_the_defect_is_as_dark_as_real_ones(
    real_mask: np.ndarray, mask: np.ndarray, severity: float
) -> None:
    depth = ndimage.distance_transform_edt(mask)
    core = depth >= depth.max() / 2
    dark = made(real_mask, mask, severity=severity)[core].mean()
    assert dark == pytest.approx(0.5 * (1 - 0.5 * severity), rel=0.15)


def test_the_light_keeps_its_side() -> None:
    real_mask, mask = disc(30, 30, 10), disc(34, 32, 13)
    rows = np.arange(SIZE)[:, None]
    shade = np.where(real_mask, (rows - 30) * 0.02, 0.0)[..., None]
    exemplars = [(np.full((SIZE, SIZE, 3), 0.5) + shade, real_mask)]
    background = np.full((SIZE, SIZE, 3), 128, np.uint8)
    image = patched(background, mask, exemplars, np.random.default_rng(0))
    change = (image - 128 / 255).mean(-1)
    up, down = change[mask & (rows < 30)].mean(), change[mask & (rows > 38)].mean()
    assert up < -0.03
    assert down > 0.03


def test_several_real_defects_take_part() -> None:
    real_mask, mask = disc(30, 30, 8), stroke(0.0, 9)
    exemplars = [(defective(real_mask, share, 0.6), real_mask) for share in (0.3, 1.6)]
    image = patched(photograph(0.5, 2), mask, exemplars, np.random.default_rng(0))
    assert image[mask].min() < 0.25
    assert image[mask].max() > 0.7


def test_equal_draws_give_equal_images() -> None:
    one, two = made(disc(20, 20, 9), disc(40, 36, 11)), made(disc(20, 20, 9), disc(40, 36, 11))
    np.testing.assert_array_equal(one, two)
