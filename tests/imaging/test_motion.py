"""One motion for points, pixels, latents and cut-outs."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy import ndimage

from defectsynth_pipeline.imaging.motion import STAY, Motion, land, landed_mask


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16, np.float32])
def test_a_whole_shift_copies_values_exactly(dtype: type) -> None:
    rng = np.random.default_rng(1)
    image = (rng.random((13, 21, 3)) * (65535 if dtype is np.uint16 else 255)).astype(dtype)
    moved = Motion(0, 3, -4, 5.3, 8.1).warp(image)
    assert moved.dtype == image.dtype
    np.testing.assert_allclose(moved[3:, :-4], image[:-3, 4:], rtol=1e-6)
    assert not moved[:3].any()
    assert not moved[:, -4:].any()


def test_a_quarter_turn_is_numpys() -> None:
    image = np.arange(25.0).reshape(5, 5)
    turned = Motion(90, 0, 0, 2, 2).warp(image)
    np.testing.assert_allclose(turned, np.rot90(image, -1), atol=1e-9)


def test_moved_points_go_where_the_pixels_go() -> None:
    image = np.zeros((31, 47))
    image[8, 30] = 1.0
    motion = Motion(35, 4, -9, 12.5, 20.25)
    centre = ndimage.center_of_mass(motion.warp(image))
    np.testing.assert_allclose(motion.onto(np.array([[8.0, 30.0]]))[0], centre, atol=0.35)


def test_latents_move_with_edge_fill_and_keep_their_dtype() -> None:
    latents = torch.ones(8, 16, 12, dtype=torch.float16)
    motion = Motion(25, 5, 2, 8, 6)
    assert bool((motion.warp(latents, fill="edge") == 1).all())
    zeroed = motion.warp(latents)
    assert zeroed.dtype == torch.float16
    assert float(zeroed.min()) == 0


def test_scaled_is_the_same_motion_on_a_finer_grid() -> None:
    coarse = Motion(30, 2, 1, 7.5, 7.5)
    rows, columns = np.indices((16, 16))
    ramp = np.stack([rows, columns], -1).astype(float)
    fine = np.stack([(i + 0.5) / 4 - 0.5 for i in np.indices((64, 64))], -1)
    low, high = coarse.warp(ramp), coarse.scaled(4).warp(fine)
    pooled = high.reshape(16, 4, 16, 4, 2).mean((1, 3))
    np.testing.assert_allclose(pooled[6:10, 6:10], low[6:10, 6:10], atol=1e-6)


def test_staying_returns_the_mask_itself() -> None:
    mask = np.eye(50) > 0
    assert STAY.warp(mask) is mask


def test_a_motion_there_and_back() -> None:
    motion = Motion(33.0, 4.2, -7.1, 20.0, 31.0, 1.5)
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
    assert np.abs(patch.values[..., 0] - expected[patch.window.slices])[patch.inside].max() < 1
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
        motion = Motion(angle, 0.4, 0.3, 40.0, 40.0)
        for placed in (landed_mask(mask, motion, (80, 80)), motion.warp(mask)):
            assert placed.sum() > 0.6 * mask.sum()


def test_warping_scales_as_points_do() -> None:
    image = np.zeros((60, 80))
    image[20:24, 30:34] = 1.0
    motion = Motion(25.0, 2.0, -6.0, 30.0, 40.0, 1.4)
    centre = ndimage.center_of_mass(motion.warp(image))
    np.testing.assert_allclose(motion.onto(np.array([[21.5, 31.5]]))[0], centre, atol=0.35)


def test_rows_and_recipes_hold_a_motion() -> None:
    motion = Motion(25.0, 2.0, -6.0, 30.0, 40.0, 1.4)
    assert Motion.of(asdict(motion) | {"fill": "edge"}) == motion
    assert Motion.of({"angle": "3", "dy": 1}) == Motion(3.0, 1.0)


def test_a_mask_between_two_pixels_keeps_its_area() -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[10:20, 12:22] = True
    assert landed_mask(mask, Motion(0, 0.7, 0.0, 15.0, 17.0), (40, 40)).sum() == 100
