"""A real defect's texture on another background, without a network."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from categories import round_spot
from defectsynth_pipeline.appearance.alignment import align
from defectsynth_pipeline.appearance.transfer import exemplar_start
from defectsynth_pipeline.errors import InputError

SIZE = 64


def grain(level: float, seed: int) -> np.ndarray:
    return level * (1 + 0.03 * np.random.default_rng(seed).normal(size=(SIZE, SIZE)))


def disc(y: float, x: float, radius: float) -> np.ndarray:
    return round_spot((SIZE, SIZE), y, x, radius)


def stroke(slope: float, width: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    for x in range(6, SIZE - 6):
        y = round(SIZE / 2 + slope * (x - SIZE / 2))
        mask[y : y + width, x] = True
    return mask


def defective(mask: np.ndarray, share: float, level: float) -> np.ndarray:
    image: np.ndarray = grain(level, 1) * np.where(mask, share, 1.0)
    return image


def transferred(
    background: np.ndarray, real: np.ndarray, real_mask: np.ndarray, mask: np.ndarray, **how: bool
) -> np.ndarray:
    """The start of a mask from a real defect that was laid on it."""
    motion = align(real_mask, mask).motion
    return exemplar_start(background, real, real_mask, motion, mask, **how)


PAIRS = pytest.mark.parametrize(
    ("real_mask", "mask"),
    [(disc(20, 20, 9), disc(40, 36, 11)), (stroke(0, 2), stroke(0.5, 3))],
    ids=["disc", "stroke"],
)


@PAIRS
def test_outside_the_collar_is_the_background(real_mask: np.ndarray, mask: np.ndarray) -> None:
    background = np.repeat(grain(0.5, 2)[..., None], 3, axis=2)
    real = np.repeat(defective(real_mask, 0.5, 0.6)[..., None], 3, axis=2)
    start = transferred(background, real, real_mask, mask)
    outside = ndimage.distance_transform_edt(~mask) > 2
    assert (start[outside] == background[outside]).all()
    assert start.shape == background.shape
    assert start.min() >= 0
    assert start.max() <= 1


@PAIRS
def test_relative_contrast_is_carried_to_a_darker_background(
    real_mask: np.ndarray, mask: np.ndarray
) -> None:
    background, real = grain(0.2, 2), defective(real_mask, 0.5, 0.8)
    relative = transferred(background, real, real_mask, mask)
    absolute = transferred(background, real, real_mask, mask, relative=False)
    assert np.median(relative[mask]) == pytest.approx(0.1, rel=0.15)
    assert np.median(absolute[mask]) < 0.01


def test_a_wide_defect_brings_its_own_grain() -> None:
    real_mask, mask = disc(30, 30, 14), disc(34, 30, 14)
    smooth = np.full((SIZE, SIZE), 0.5)
    real = defective(real_mask, 0.6, 0.5)
    start = transferred(smooth, real, real_mask, mask)
    inner = disc(34, 30, 10)
    assert start[inner].std() == pytest.approx(real[disc(30, 30, 10)].std(), rel=0.3)


def test_a_stroke_is_continuous_over_a_mask_it_hardly_overlaps() -> None:
    real_mask, mask = stroke(0, 1), stroke(0.9, 2)
    real = defective(real_mask, 0.4, 0.6)
    background = np.full((SIZE, SIZE), 0.6)
    start = transferred(background, real, real_mask, mask)
    assert (start[mask] < 0.85 * 0.6).all()


@pytest.mark.parametrize("change", ["size", "empty"])
def test_unusable_exemplars_are_refused(change: str) -> None:
    real_mask, mask = disc(20, 20, 5), disc(30, 30, 5)
    motion = align(real_mask, mask).motion
    real = grain(0.5, 0)[:-1] if change == "size" else grain(0.5, 0)
    real_mask = np.zeros_like(real_mask) if change == "empty" else real_mask
    with pytest.raises(InputError, match=r"share one size[\s\S]*real mask \d+[\s\S]*crop all four"):
        exemplar_start(grain(0.5, 2), real, real_mask, motion, mask)
