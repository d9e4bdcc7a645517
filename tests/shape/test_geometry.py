from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.shape.geometry import measure, resize_mask, top_pixels, without_specks
from shape.builders import bar, crack, disc


def test_figures_of_a_rectangle() -> None:
    mask = np.zeros((40, 60), dtype=bool)
    mask[10:15, 20:50] = True
    measured = measure(mask)
    assert measured.area == 150
    assert measured.parts == 1
    assert measured.centroid == (12.0, 34.5)
    assert measured.width == pytest.approx(6, abs=0.1)  # 2 x distance: half a pixel each side
    assert measured.reach == pytest.approx(np.hypot(5, 30))
    assert measured.angle == pytest.approx(0, abs=0.01)
    assert measured.elongation == pytest.approx(6, rel=0.02)


@pytest.mark.parametrize("angle", [-1.2, -0.4, 0.3, 1.1])
def test_angle_is_that_of_the_bar(angle: float) -> None:
    assert measure(bar(96, angle, 50, 5)).angle == pytest.approx(angle, abs=0.03)


def test_a_single_pixel_can_be_measured() -> None:
    mask = np.zeros((5, 5), dtype=bool)
    mask[0, 4] = True
    measured = measure(mask)
    assert (measured.area, measured.parts, measured.length) == (1, 1, 1)
    assert measured.elongation == 1


def test_cracks_are_slender_and_discs_are_not() -> None:
    assert measure(crack(0)).slenderness > 20
    assert measure(disc(64, 32, 32, 10)).slenderness < 2


@pytest.mark.parametrize("count", [0, 1, 7, 19, 20, 99])
def test_top_pixels_are_exactly_as_many_even_with_ties(count: int) -> None:
    field = np.array([[1.0, 2.0, 2.0, 2.0, 5.0]] * 4)
    mask = top_pixels(field, count)
    assert mask.sum() == min(max(count, 1), 20)
    assert not mask.any() or field[mask].min() >= field[~mask].max(initial=-np.inf)


@pytest.mark.parametrize("size", [(64, 64), (40, 90), (300, 200)])
def test_resizing_keeps_the_area_ratio_of_a_thin_crack(size: tuple[int, int]) -> None:
    mask = crack(1)
    resized = resize_mask(mask, *size)
    assert resized.shape == size[::-1]
    assert abs(resized.sum() - mask.mean() * resized.size) <= 0.5


def test_resizing_to_the_same_size_changes_nothing() -> None:
    mask = crack(1)
    assert resize_mask(mask, 128, 128) is mask


def test_specks_go_and_the_largest_parts_stay() -> None:
    mask = np.zeros((40, 60), dtype=bool)
    mask[2:4, 2:4] = mask[10:20, 10:20] = mask[30:35, 40:45] = True
    kept = without_specks(mask, 2)
    assert not kept[:5, :5].any()
    assert kept.sum() == 125
    assert without_specks(mask, 3) is mask
