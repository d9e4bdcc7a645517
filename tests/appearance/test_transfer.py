"""A real defect's texture on another background, without a network."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from categories import round_spot
from defectsynth_pipeline.appearance.transfer import transferred
from defectsynth_pipeline.errors import InputError

SIZE = 64


def grain(level: float, seed: int) -> np.ndarray:
    image = level * (1 + 0.03 * np.random.default_rng(seed).normal(size=(SIZE, SIZE, 1)))
    return np.repeat(image, 3, axis=2)


def photograph(level: float, seed: int) -> np.ndarray:
    return np.rint(grain(level, seed) * 255).astype(np.uint8)


def disc(y: float, x: float, radius: float) -> np.ndarray:
    return round_spot((SIZE, SIZE), y, x, radius)


def stroke(slope: float, width: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    for x in range(6, SIZE - 6):
        y = round(SIZE / 2 + slope * (x - SIZE / 2))
        mask[y : y + width, x] = True
    return mask


def defective(mask: np.ndarray, share: float, level: float) -> np.ndarray:
    image: np.ndarray = grain(level, 1) * np.where(mask, share, 1.0)[..., None]
    return image


PAIRS = pytest.mark.parametrize(
    ("real_mask", "mask"),
    [(disc(20, 20, 9), disc(40, 36, 11)), (stroke(0, 2), stroke(0.5, 3))],
    ids=["disc", "stroke"],
)


@PAIRS
def test_outside_the_collar_is_the_background(real_mask: np.ndarray, mask: np.ndarray) -> None:
    background = photograph(0.5, 2)
    start = transferred(background, mask, defective(real_mask, 0.5, 0.6), real_mask)
    outside = ndimage.distance_transform_edt(~mask) > 2
    assert (np.rint(start[outside] * 255) == background[outside]).all()
    assert start.shape == background.shape
    assert start.min() >= 0
    assert start.max() <= 1


@PAIRS
def test_relative_contrast_is_carried_to_a_darker_background(
    real_mask: np.ndarray, mask: np.ndarray
) -> None:
    given = photograph(0.2, 2), mask, defective(real_mask, 0.5, 0.8), real_mask
    assert np.median(transferred(*given)[mask]) == pytest.approx(0.1, rel=0.15)
    assert np.median(transferred(*given, relative=False)[mask]) < 0.01


@pytest.mark.parametrize("severity", [0.5, 1.0, 1.5])
def test_severity_scales_what_is_carried(severity: float) -> None:
    real_mask, mask = disc(20, 20, 9), disc(40, 36, 11)
    real = defective(real_mask, 0.7, 0.6)
    start = transferred(photograph(0.6, 2), mask, real, real_mask, severity=severity)
    assert np.median(start[mask]) == pytest.approx(0.6 * (1 - 0.3 * severity), rel=0.05)


def test_a_wide_defect_brings_its_own_grain() -> None:
    real_mask, mask = disc(30, 30, 14), disc(34, 30, 14)
    smooth = np.full((SIZE, SIZE, 3), 128, np.uint8)
    real = defective(real_mask, 0.6, 0.5)
    start = transferred(smooth, mask, real, real_mask)
    inner = disc(34, 30, 10)
    assert start[inner].std() == pytest.approx(real[disc(30, 30, 10)].std(), rel=0.3)


def test_a_stroke_is_continuous_over_a_mask_it_hardly_overlaps() -> None:
    real_mask, mask = stroke(0, 2), stroke(0.9, 3)
    background = np.full((SIZE, SIZE, 3), 153, np.uint8)
    start = transferred(background, mask, defective(real_mask, 0.4, 0.6), real_mask)
    assert (start[mask] < 0.9 * 0.6).mean() > 0.95


def test_the_light_stays_on_its_side_whatever_the_shape() -> None:
    """A dent is bright towards the left of its image, however its outline is turned."""
    rows, columns = np.indices((SIZE, SIZE))
    real_mask = ((rows - 30) / 8) ** 2 + ((columns - 32) / 14) ** 2 <= 1
    real = np.full((SIZE, SIZE, 3), 0.5) + (0.02 * (32 - columns) * real_mask)[..., None]
    for height, width in ((14, 8), (8, 14), (11, 11)):
        mask = ((rows - 34) / height) ** 2 + ((columns - 30) / width) ** 2 <= 1
        start = transferred(photograph(0.5, 2), mask, real.clip(0, 1), real_mask)
        across = np.corrcoef(start[mask].mean(1), columns[mask])[0, 1]
        along = np.corrcoef(start[mask].mean(1), rows[mask])[0, 1]
        assert across < -0.8
        assert abs(along) < 0.3


def test_a_scratch_keeps_its_bright_and_its_dark_side() -> None:
    """Bright above and dark below its middle line; a new one at a slant as well."""
    real_mask, mask = stroke(0, 6), stroke(0.4, 6)
    real = np.full((SIZE, SIZE, 3), 0.5)
    real[32:35][:, 6:-6] = 0.8
    real[35:38][:, 6:-6] = 0.3
    start = transferred(np.full((SIZE, SIZE, 3), 128, np.uint8), mask, real, real_mask)
    core = mask[:, 12:-12]
    first = core.argmax(0)
    above = np.array([start[y + 1, x + 12, 0] for x, y in enumerate(first)])
    below = np.array([start[y + 4, x + 12, 0] for x, y in enumerate(first)])
    assert (above > 0.6).all()
    assert (below < 0.45).all()


@pytest.mark.parametrize("change", ["size", "empty"])
def test_unusable_exemplars_are_refused(change: str) -> None:
    real_mask, mask = disc(20, 20, 5), disc(30, 30, 5)
    real = grain(0.5, 0)[:-1] if change == "size" else grain(0.5, 0)
    real_mask = np.zeros_like(real_mask) if change == "empty" else real_mask
    message = (
        r"of its image's size[\s\S]*resize" if change == "size" else r"not be empty[\s\S]*drop"
    )
    with pytest.raises(InputError, match=message):
        transferred(photograph(0.5, 2), mask, real, real_mask)
