"""A real defect carried whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from categories import round_spot
from defectsynth_pipeline.appearance.paste import pasted, strip_of
from defectsynth_pipeline.imaging.motion import Motion, landed_mask

SHAPE = (80, 96)


def surface(level: int, seed: int, dtype: type = np.uint8) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 3, (*SHAPE, 3))
    return (level + noise).clip(0, 255).astype(dtype)


@pytest.mark.parametrize("strip", [0, 8])
def test_the_defect_lands_whole_and_the_rest_is_the_background(strip: int) -> None:
    mask = round_spot(SHAPE, 30, 40, 8)
    donor, background = surface(140, 1), surface(140, 2)
    donor[mask] //= 3
    motion = Motion(dy=12.0, dx=20.0)
    image = pasted(donor, mask, motion, background, strip=strip)
    landed = landed_mask(mask, motion, SHAPE)
    assert np.abs(image[landed].astype(int) - donor[mask]).max() <= 3
    far = ndimage.distance_transform_edt(~landed) > max(strip, 2)
    assert (image[far] == background[far]).all()


@pytest.mark.parametrize("angle", [0.0, 17.0, 45.0, 160.0])
def test_nothing_differs_past_the_strip_however_a_thin_defect_is_turned(angle: float) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[40:42, 20:70] = True
    donor, background = surface(140, 1), surface(90, 2)
    donor[mask] = 250
    motion = Motion(angle=angle, dy=3.4, dx=-2.7, centre_y=40.0, centre_x=45.0)
    image = pasted(donor, mask, motion, background, strip=7)
    differs = (image != background).any(-1)
    assert differs.any()
    assert ndimage.distance_transform_edt(~landed_mask(mask, motion, SHAPE))[differs].max() <= 7


def test_a_strip_of_surroundings_comes_along() -> None:
    mask = round_spot(SHAPE, 30, 40, 8)
    donor, background = surface(140, 1), surface(140, 2)
    beside = round_spot(SHAPE, 30, 40, 11) & ~mask
    image = pasted(donor, mask, Motion(dy=12.0, dx=20.0), background, strip=8)
    landed = np.roll(beside, (12, 20), (0, 1))
    carried = np.corrcoef(image[landed].ravel(), donor[beside].ravel())[0, 1]
    assert carried > 0.9


def test_brightness_is_matched_to_the_ring() -> None:
    mask = round_spot(SHAPE, 40, 48, 8)
    donor, background = surface(200, 1), surface(100, 2)
    donor[mask] //= 2
    image = pasted(donor, mask, Motion(), background, strip=6)
    assert np.median(image[mask]) == pytest.approx(50, abs=3)


def test_a_membrane_adds_what_the_surroundings_lack_and_leaves_no_step() -> None:
    mask = round_spot(SHAPE, 40, 48, 8)
    donor, slope = surface(120, 1), np.linspace(-40, 40, SHAPE[1])[None, :, None]
    background = (surface(140, 2) + slope).clip(0, 255).astype(np.uint8)
    donor[mask] -= 60
    image = pasted(donor, mask, Motion(), background, membrane=True)
    assert np.median(image[mask]) == pytest.approx(80, abs=4)  # 60 below what was there
    left, right = mask.copy(), mask.copy()
    left[:, 48:], right[:, :48] = False, False
    assert image[right].mean() - image[left].mean() > 3  # it follows the slope, the donor has none
    plain = pasted(donor, mask, Motion(), background)
    assert (image != plain)[mask].any()


def test_the_strip_grows_with_the_defect() -> None:
    small, large, thin = (np.zeros((400, 400), bool) for _ in range(3))
    small[10:15, 10:15], large[20:380, 20:380], thin[50, 50:130] = True, True, True
    assert (strip_of(small), strip_of(large), strip_of(thin)) == (6, 24, 12)
