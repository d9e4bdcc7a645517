from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.shape.branching import Crack, interpolate_cracks, warped_crack
from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.image_space import interpolate_distance, shape_of
from defectsynth_pipeline.shape.strokes import stroke_tree
from defectsynth_pipeline.shape.variation import IDENTITY, Warp
from shape.builders import bar, crack

SIZE = (128, 128)
ANY_AREA = (1, 128 * 128)


def parent(mask: np.ndarray) -> Crack:
    return Crack(stroke_tree(mask), measure(mask))


def between(first: np.ndarray, second: np.ndarray, alpha: float, seed: int = 0) -> np.ndarray:
    rng, parents = np.random.default_rng(seed), (parent(first), parent(second))
    return interpolate_cracks(*parents, alpha, rng=rng, size=SIZE, warp=IDENTITY, area=ANY_AREA)


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_thin_stays_thin_and_whole(alpha: float) -> None:
    first, second = crack(0), crack(1)
    measured = measure(between(first, second, alpha))
    assert measured.width == pytest.approx(measure(first).width, rel=0.25)
    assert measured.parts == 1
    areas = sorted([int(first.sum()), int(second.sum())])
    assert areas[0] * 0.8 <= measured.area <= areas[1] * 1.2


def test_a_vertical_and_a_horizontal_crack_turn_instead_of_shrinking() -> None:
    first, second = crack(0), crack(1).T
    measured = measure(between(first, second, 0.5))
    assert measured.reach > 100
    assert measured.width == pytest.approx(measure(first).width, rel=0.25)


def test_distance_fields_would_lose_such_a_crack() -> None:
    """The reason for the strokes: the same pair through the estimator for compact shapes."""
    shapes = [shape_of(mask, measure(mask)) for mask in (crack(0), crack(1).T)]
    blended = measure(interpolate_distance(*shapes, 0.5, SIZE, IDENTITY))
    assert blended.width > 1.25 * measure(crack(0)).width or blended.parts > 1


def test_a_crack_that_ran_into_the_frame_still_does() -> None:
    mask = between(crack(0), np.roll(crack(1), 15, axis=0), 0.4)
    assert mask[:, 0].any()
    assert mask[:, -1].any()


def test_branches_depend_on_the_generator_only() -> None:
    first, second = crack(2), crack(3)
    assert (between(first, second, 0.5, 1) == between(first, second, 0.5, 1)).all()


def test_widths_are_corrected_towards_the_area_by_a_fifth_at_most() -> None:
    one = parent(crack(0))
    low = warped_crack(one, size=SIZE, warp=IDENTITY, area=(1, 10))
    high = warped_crack(one, size=SIZE, warp=IDENTITY, area=(16000, 16384))
    plain = warped_crack(one, size=SIZE, warp=IDENTITY, area=ANY_AREA)
    assert plain.sum() / 1.45 < low.sum() < plain.sum() < high.sum() < plain.sum() * 1.45


def test_a_crack_warped_out_of_the_frame_is_empty_not_an_error() -> None:
    away = Warp(0.0, 1.0, np.array([500.0, 0.0]), np.zeros((0, 5)))
    assert not warped_crack(parent(crack(0)), size=SIZE, warp=away, area=ANY_AREA).any()


def test_single_pixels_and_bars_can_be_parents() -> None:
    dot = np.zeros(SIZE, dtype=bool)
    dot[40, 40] = True
    assert between(dot, bar(128, 0.3, 40, 3), 0.4).any()
    assert between(dot, dot, 0.5).any()


def straight(length: float, radius: float) -> Crack:
    mask = bar(128, 0.0, length, 2 * radius)
    return parent(mask)


def test_length_and_area_are_interpolated_on_a_logarithmic_scale() -> None:
    rng, short, long = np.random.default_rng(0), straight(25, 2), straight(100, 2)
    mask = interpolate_cracks(short, long, 0.49, rng=rng, size=SIZE, warp=IDENTITY, area=ANY_AREA)
    measured = measure(mask)
    assert measured.reach == pytest.approx(50, rel=0.15)
    area = (short.measures.area * long.measures.area) ** 0.5
    assert measured.area == pytest.approx(area, rel=0.25)


@pytest.mark.parametrize("seed", range(4))
def test_towards_a_crack_without_branches_some_are_left_out(seed: int) -> None:
    plain = np.zeros(SIZE, dtype=bool)
    plain[63:66, 9:119] = True
    branched = plain.copy()
    for column in (30, 60, 90):
        branched[29:64, column - 1 : column + 2] = True
        branched[64:101, column + 9 : column + 12] = True
    assert between(branched, plain, 0.49, seed).sum() < 0.75 * branched.sum()
