"""Eq. 5-6: the search against a brute-force reference, and the transformation itself."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from scipy import ndimage

from defectsynth_pipeline.appearance.alignment import Alignment, align, apply
from defectsynth_pipeline.errors import InputError


def random_mask(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.8, 3))
    return noise > np.quantile(noise, rng.uniform(0.6, 0.97))


def shifted_overlap(real: np.ndarray, generated: np.ndarray, dy: int, dx: int) -> float:
    """Eq. 5's sum for one translation, pixel by pixel."""
    total = 0.0
    for i, j in np.argwhere(real):
        y, x = i + dy, j + dx
        if 0 <= y < real.shape[0] and 0 <= x < real.shape[1]:
            total += float(generated[y, x])
    return total


@pytest.mark.parametrize("shape", [(12, 12), (9, 15)])
def test_translations_agree_with_brute_force(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        real, generated = random_mask(rng, shape), random_mask(rng, shape)
        centre = ndimage.center_of_mass(real)
        best = max(
            shifted_overlap(real, generated, dy, dx)
            for dy in range(-shape[0], shape[0])
            for dx in range(-shape[1], shape[1])
            if 0 <= round(centre[0]) + dy < shape[0] and 0 <= round(centre[1]) + dx < shape[1]
        )
        found = align(real, generated, angles=1)
        assert found.overlap == pytest.approx(best)
        reached = shifted_overlap(real, generated, int(found.dy), int(found.dx))
        assert reached == pytest.approx(found.overlap)


def test_overlap_is_never_below_the_identity() -> None:
    rng = np.random.default_rng(0)
    for shape in [(16, 16), (24, 17), (11, 30)]:
        for _ in range(25):
            real, generated = random_mask(rng, shape), random_mask(rng, shape)
            found = align(real, generated, angles=12)
            assert found.identity_overlap == (real & generated).sum()
            assert found.overlap >= found.identity_overlap
            reached = (apply(found, real.astype(np.float64)) * generated).sum()
            assert reached == pytest.approx(found.overlap)


def test_soft_masks_are_aligned_by_their_values() -> None:
    real = np.zeros((32, 32))
    real[4:8, 4:8] = 0.5
    generated = np.zeros((32, 32))
    generated[20:24, 10:14] = 0.8
    generated[2:6, 20:24] = 0.3
    found = align(real, generated)
    assert (found.angle, found.dy, found.dx) == (0, 16, 6)
    assert found.overlap == pytest.approx(16 * 0.4)


def test_finds_a_known_rotation_and_shift() -> None:
    real = np.zeros((48, 48), dtype=bool)
    real[20:24, 10:34] = True
    real[14:20, 10:14] = True
    truth = Alignment(70.0, 6, -5, 0, 0, ndimage.center_of_mass(real))
    generated = apply(truth, real, order=0)
    found = align(real, generated)
    assert found.angle == 70.0
    assert abs(found.dy - 6) <= 1
    assert abs(found.dx + 5) <= 1
    assert found.overlap > 0.9 * generated.sum()


def test_a_small_defect_ends_in_the_middle_of_a_large_mask() -> None:
    real, generated = np.zeros((2, 40, 40), dtype=bool)
    real[2:5, 2:5] = True
    generated[10:31, 10:31] = True
    found = align(real, generated)
    assert (found.angle, found.dy, found.dx) == (0.0, 17, 17)


def test_an_empty_mask_stays_where_it_is() -> None:
    empty, full = np.zeros((8, 8), dtype=bool), np.ones((8, 8), dtype=bool)
    for pair in ((empty, full), (full, empty)):
        found = align(*pair)
        assert (found.angle, found.dy, found.dx, found.overlap) == (0, 0, 0, 0)


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(8, 8\) and \(8, 9\)[\s\S]*same resolution"):
        align(np.ones((8, 8), bool), np.ones((8, 9), bool))


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16, np.float32])
def test_a_whole_shift_copies_values_exactly(dtype: type) -> None:
    rng = np.random.default_rng(1)
    image = (rng.random((13, 21, 3)) * (65535 if dtype is np.uint16 else 255)).astype(dtype)
    moved = apply(Alignment(0, 3, -4, 0, 0, (5.3, 8.1)), image)
    assert moved.dtype == image.dtype
    np.testing.assert_allclose(moved[3:, :-4], image[:-3, 4:], rtol=1e-6)
    assert not moved[:3].any()
    assert not moved[:, -4:].any()


def test_a_quarter_turn_is_numpys() -> None:
    image = np.arange(25.0).reshape(5, 5)
    turned = apply(Alignment(90, 0, 0, 0, 0, (2, 2)), image)
    np.testing.assert_allclose(turned, np.rot90(image, -1), atol=1e-9)


def test_moved_points_go_where_the_pixels_go() -> None:
    image = np.zeros((31, 47))
    image[8, 30] = 1.0
    alignment = Alignment(35, 4, -9, 0, 0, (12.5, 20.25))
    centre = ndimage.center_of_mass(apply(alignment, image))
    np.testing.assert_allclose(alignment.moved(np.array([[8.0, 30.0]]))[0], centre, atol=0.35)


def test_latents_move_with_edge_fill_and_keep_their_dtype() -> None:
    latents = torch.ones(8, 16, 12, dtype=torch.float16)
    alignment = Alignment(25, 5, 2, 0, 0, (8, 6))
    assert bool((apply(alignment, latents, fill="edge") == 1).all())
    zeroed = apply(alignment, latents)
    assert zeroed.dtype == torch.float16
    assert float(zeroed.min()) == 0


def test_scaled_is_the_same_motion_on_a_finer_grid() -> None:
    coarse = Alignment(30, 2, 1, 0, 0, (7.5, 7.5))
    rows, columns = np.indices((16, 16))
    ramp = np.stack([rows, columns], -1).astype(float)
    fine = np.stack([(i + 0.5) / 4 - 0.5 for i in np.indices((64, 64))], -1)
    low, high = apply(coarse, ramp), apply(coarse.scaled(4), fine)
    pooled = high.reshape(16, 4, 16, 4, 2).mean((1, 3))
    np.testing.assert_allclose(pooled[6:10, 6:10], low[6:10, 6:10], atol=1e-6)


@pytest.mark.parametrize("angles", [9, 10, 72])
def test_every_angle_is_found_in_both_halves_of_the_turn(angles: int) -> None:
    real = np.zeros((40, 44), dtype=bool)
    real[18:22, 8:30] = True
    real[12:18, 8:12] = True
    centre = tuple(round(c) for c in ndimage.center_of_mass(real))
    for turn in range(0, angles, max(1, angles // 10)):
        truth = Alignment(360 * turn / angles, 2, 3, 0, 0, centre)
        found = align(real, apply(truth, real, order=0), angles)
        assert (found.angle, found.dy, found.dx) == (pytest.approx(truth.angle), 2, 3)


def test_one_alignment_at_64_is_fast() -> None:
    rng = np.random.default_rng(2)
    pairs = [(random_mask(rng, (64, 64)), random_mask(rng, (64, 64))) for _ in range(3)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        for real, generated in pairs * 4:
            begin = time.thread_time()  # of this thread: other work on the machine does not count
            align(real, generated, angles=72)
            times.append(time.thread_time() - begin)
    finally:
        torch.set_num_threads(threads)
    assert min(times) < 0.03
