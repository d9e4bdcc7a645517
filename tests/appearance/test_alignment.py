"""Eq. 5-6: the search against a brute-force reference, and what it is about."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from scipy import ndimage

from defectsynth_pipeline.appearance.alignment import align
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.motion import Motion


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
        reached = shifted_overlap(real, generated, int(found.motion.dy), int(found.motion.dx))
        assert reached == pytest.approx(found.overlap)


def test_overlap_is_never_below_the_identity() -> None:
    rng = np.random.default_rng(0)
    for shape in [(16, 16), (24, 17), (11, 30)]:
        for _ in range(25):
            real, generated = random_mask(rng, shape), random_mask(rng, shape)
            found = align(real, generated, angles=12)
            assert found.identity_overlap == (real & generated).sum()
            assert found.overlap >= found.identity_overlap
            reached = (found.motion.warp(real.astype(np.float64)) * generated).sum()
            assert reached == pytest.approx(found.overlap)


def test_soft_masks_are_aligned_by_their_values() -> None:
    real = np.zeros((32, 32))
    real[4:8, 4:8] = 0.5
    generated = np.zeros((32, 32))
    generated[20:24, 10:14] = 0.8
    generated[2:6, 20:24] = 0.3
    found = align(real, generated)
    assert (found.motion.angle, found.motion.dy, found.motion.dx) == (0, 16, 6)
    assert found.overlap == pytest.approx(16 * 0.4)


def test_finds_a_known_rotation_and_shift() -> None:
    real = np.zeros((48, 48), dtype=bool)
    real[20:24, 10:34] = True
    real[14:20, 10:14] = True
    truth = Motion(70.0, 6, -5, *ndimage.center_of_mass(real))
    generated = truth.warp(real, order=0)
    found = align(real, generated)
    assert found.motion.angle == 70.0
    assert abs(found.motion.dy - 6) <= 1
    assert abs(found.motion.dx + 5) <= 1
    assert found.overlap > 0.9 * generated.sum()


def test_a_small_defect_ends_in_the_middle_of_a_large_mask() -> None:
    real, generated = np.zeros((2, 40, 40), dtype=bool)
    real[2:5, 2:5] = True
    generated[10:31, 10:31] = True
    found = align(real, generated)
    assert (found.motion.angle, found.motion.dy, found.motion.dx) == (0.0, 17, 17)


def test_an_empty_mask_stays_where_it_is() -> None:
    empty, full = np.zeros((8, 8), dtype=bool), np.ones((8, 8), dtype=bool)
    for pair in ((empty, full), (full, empty)):
        found = align(*pair)
        assert (found.motion.angle, found.motion.dy, found.motion.dx, found.overlap) == (0, 0, 0, 0)


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(8, 8\) and \(8, 9\)[\s\S]*same resolution"):
        align(np.ones((8, 8), bool), np.ones((8, 9), bool))


@pytest.mark.parametrize("angles", [9, 10, 72])
def test_every_angle_is_found_in_both_halves_of_the_turn(angles: int) -> None:
    real = np.zeros((40, 44), dtype=bool)
    real[18:22, 8:30] = True
    real[12:18, 8:12] = True
    centre = tuple(round(c) for c in ndimage.center_of_mass(real))
    for turn in range(0, angles, max(1, angles // 10)):
        truth = Motion(360 * turn / angles, 2, 3, *centre)
        found = align(real, truth.warp(real, order=0), angles)
        assert found.motion.angle == pytest.approx(truth.angle)
        assert (found.motion.dy, found.motion.dx) == (2, 3)


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
