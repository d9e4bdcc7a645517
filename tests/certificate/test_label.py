"""What changed against a known background."""

from __future__ import annotations

import numpy as np
import pytest

from categories import disc, surface
from defectsynth_pipeline.certificate.label import NEAR, measure_label
from defectsynth_pipeline.corpora.zones import MARGIN

SHAPE = (96, 112)


@pytest.fixture
def background() -> np.ndarray:
    return surface(3, (*SHAPE, 3))


@pytest.fixture
def mask() -> np.ndarray:
    return disc(5, SHAPE, radius=8, margin=20)


def test_what_changed_wholly_is_covered(background: np.ndarray, mask: np.ndarray) -> None:
    image = background.copy()
    image[mask] //= 2
    label = measure_label(image, background, mask)
    assert label.covered == 1
    assert label.overlap > 0.85
    assert (label.region & mask).sum() > 0.95 * mask.sum()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_half_a_change_covers_half(background: np.ndarray, mask: np.ndarray, dtype: type) -> None:
    image, rows = background.copy(), np.indices(SHAPE)[0]
    half = mask & (rows < np.argwhere(mask).mean(0)[0])
    image[half] //= 2
    scale = 257 if dtype is np.uint16 else 1
    pictures = [(a.astype(np.uint32) * scale).astype(dtype) for a in (image, background)]
    label = measure_label(*pictures, mask)
    assert label.covered == pytest.approx(0.55, abs=0.1)
    assert label.overlap == pytest.approx(0.5, abs=0.12)
    assert (label.region & half).sum() > 0.9 * half.sum()


def test_nothing_changed(background: np.ndarray, mask: np.ndarray) -> None:
    label = measure_label(background, background, mask)
    assert (label.covered, label.overlap, label.region.any()) == (0, 0, False)


def test_grain_is_no_change(background: np.ndarray, mask: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(-1, 2, background.shape)
    image = (background + noise).clip(0, 255).astype(np.uint8)
    assert measure_label(image, background, mask).covered < 0.1


def test_a_thin_mask_is_judged_along_its_skeleton(background: np.ndarray) -> None:
    """A stroke three pixels wide of which the middle changed alone is covered."""
    mask, image = np.zeros(SHAPE, bool), background.copy()
    mask[40:43, 20:90] = True
    image[41, 20:90] //= 3
    assert measure_label(image, background, mask).covered > 0.9


def test_what_lies_farther_off_is_not_in_the_region(
    background: np.ndarray, mask: np.ndarray
) -> None:
    image = background.copy()
    image[mask] //= 2
    image[:6, :6] = 0
    rows, columns = np.nonzero(measure_label(image, background, mask).region)
    box = np.argwhere(mask)
    assert rows.min() >= box[:, 0].min() - NEAR
    assert columns.max() <= box[:, 1].max() + NEAR


def test_a_measured_label_stays_in_the_zones_of_its_mask() -> None:
    assert NEAR <= MARGIN
