from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.image_space import (
    interpolate_coordinates,
    interpolate_distance,
    ordered_coordinates,
    shape_of,
)
from defectsynth_pipeline.shape.strokes import stroke_tree
from defectsynth_pipeline.shape.variation import IDENTITY, Warp
from shape.builders import bar, disc

SIZE = (96, 96)


def between(
    first: np.ndarray, second: np.ndarray, alpha: float, warp: Warp = IDENTITY
) -> np.ndarray:
    shapes = [shape_of(mask, measure(mask)) for mask in (first, second)]
    return interpolate_distance(*shapes, alpha, first.shape, warp)


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_area_is_interpolated_to_the_pixel_and_position_separately(alpha: float) -> None:
    first, second = disc(96, 25, 30, 8), disc(96, 60, 50, 16)
    mask = between(first, second, alpha)
    assert mask.sum() == round((1 - alpha) * first.sum() + alpha * second.sum())
    measured = measure(mask)
    assert measured.parts == 1
    assert measured.centroid == pytest.approx((25 + 35 * alpha, 30 + 20 * alpha), abs=0.6)
    assert measured.elongation < 1.1


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75])
def test_crossed_bars_turn_and_stay_bars(alpha: float) -> None:
    first, second = bar(96, 0.0, 50, 7), bar(96, 1.2, 30, 7)
    measured = measure(between(first, second, alpha))
    assert measured.angle == pytest.approx(1.2 * alpha, abs=0.05)
    assert measured.width == pytest.approx(measure(first).width, rel=0.15)
    assert measured.parts == 1


def test_masks_of_two_parts_are_interpolated_part_by_part() -> None:
    first = disc(96, 20, 20, 6) | disc(96, 70, 70, 9)
    second = disc(96, 75, 60, 8) | disc(96, 25, 20, 5)
    measured = measure(between(first, second, 0.5))
    assert measured.parts == 2
    assert first.sum() * 0.7 < measured.area < first.sum() * 1.3


def test_a_part_without_a_partner_stays_as_it_is() -> None:
    first, second = disc(96, 20, 20, 6) | disc(96, 70, 70, 9), disc(96, 50, 50, 9)
    near_first = between(first, second, 0.2)
    near_second = between(first, second, 0.8)
    assert (measure(near_first).parts, measure(near_second).parts) == (2, 1)


def test_shapes_inside_the_frame_are_not_cut_by_it() -> None:
    one, away = disc(96, 12, 12, 10), np.array([-9.0, -9.0])
    measured = measure(between(one, one, 0.0, Warp(0.0, 1.0, away, np.zeros((0, 5)))))
    assert measured.elongation < 1.1
    assert measured.area == one.sum()


def test_large_shapes_use_a_coarse_grid_and_keep_their_area() -> None:
    first, second = disc(512, 250, 250, 180), disc(512, 260, 250, 120)
    mask = between(first, second, 0.5)
    assert mask.sum() == round((first.sum() + second.sum()) / 2)
    ideal = disc(512, 255, 250, np.sqrt(mask.sum() / np.pi))
    assert (mask ^ ideal).sum() < 0.01 * mask.sum()


def coordinates(mask: np.ndarray) -> np.ndarray:
    path = np.concatenate([stroke.points for stroke in stroke_tree(mask).strokes])
    return ordered_coordinates(mask, path)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8])
def test_ordered_coordinates_give_no_comb_teeth(alpha: float) -> None:
    first, second = bar(96, 0.2, 40, 7), bar(96, 0.9, 60, 9)
    mask = interpolate_coordinates(coordinates(first), coordinates(second), alpha, SIZE)
    measured = measure(mask)
    assert measured.parts == 1
    assert first.sum() * 0.85 < measured.area < second.sum() * 1.15
    assert 7 < measured.width < 11.5
    assert measured.angle == pytest.approx(0.2 + 0.7 * alpha, abs=0.1)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_coordinates_end_at_the_parents(alpha: float) -> None:
    first, second = disc(96, 30, 30, 9), bar(96, 0.9, 50, 8)
    mask = interpolate_coordinates(coordinates(first), coordinates(second), alpha, SIZE)
    parent = first if alpha == 0 else second
    assert (mask & parent).sum() / (mask | parent).sum() > 0.9


def broken(depth: float, waves: float) -> np.ndarray:
    """The upper part of an image is gone, down to a wavy edge."""
    rows, columns = np.indices(SIZE)
    return np.asarray(rows < depth + 4 * np.sin(columns / waves))


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("shift", [-6, 6])
def test_what_the_frame_cuts_off_goes_on_to_it(alpha: float, shift: int) -> None:
    first, second = broken(20, 7), broken(45, 11)
    mask = between(first, second, alpha, Warp(0.1, 1.0, np.array([shift, 0]), np.zeros((0, 5))))
    assert mask.sum() == round((1 - alpha) * first.sum() + alpha * second.sum())
    assert mask[0].all()
    lowest = np.argmin(mask, axis=0)
    assert (mask.cumprod(axis=0).sum(axis=0) == lowest).all()
    assert mask.sum() == lowest.sum()


def test_a_shape_that_ends_at_the_frame_can_be_moved_away_from_it() -> None:
    mask = disc(96, 2, 48, 12)
    shape = shape_of(mask, measure(mask), goes_on=False)
    warp = Warp(0.0, 1.0, np.array([40, 0]), np.zeros((0, 5)))
    moved = interpolate_distance(shape, shape, 0.0, SIZE, warp)
    assert np.array_equal(moved[40:], mask[:-40])
    assert not moved[:40].any()
