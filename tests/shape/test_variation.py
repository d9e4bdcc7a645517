from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.variation import IDENTITY, Warp, draw_warp, rotate, spread_of
from shape.builders import bar, disc


def test_rotation_turns_the_main_axis_by_its_angle() -> None:
    mask = bar(96, 0.2, 50, 5)
    points = np.argwhere(mask) - np.array(measure(mask).centroid)
    turned = np.zeros((96, 96), dtype=bool)
    turned[tuple(np.rint(rotate(points, 0.7) + 48).astype(int).T)] = True
    assert measure(turned).angle == pytest.approx(0.9, abs=0.03)


def test_spread_is_that_of_the_base_masks() -> None:
    spread = spread_of([measure(disc(64, 20, 30, 5)), measure(disc(64, 30, 30, 10))])
    assert spread.low.tolist() == [20, 30]
    assert spread.high.tolist() == [30, 30]
    assert spread.position.tolist() == [5, 0]
    assert spread.rotation == np.pi  # discs have no direction
    assert spread.scale == pytest.approx(np.log(2) / 2, abs=0.03)


def test_directions_of_bars_are_compared_without_sign() -> None:
    measures = [measure(bar(96, angle, 50, 5)) for angle in (np.pi / 2 - 0.1, -np.pi / 2 + 0.1)]
    assert spread_of(measures).rotation == pytest.approx(0.1, abs=0.02)


def test_a_drawn_warp_stays_within_the_spread() -> None:
    spread = spread_of([measure(bar(96, angle, 40, 6)) for angle in (0.0, 0.1, 0.2)])
    for seed in range(50):
        warp = draw_warp(np.random.default_rng(seed), spread, 40)
        assert abs(warp.rotation) <= spread.rotation
        assert abs(np.log(warp.scale)) <= spread.scale
        assert (np.abs(warp.shift) <= np.maximum(spread.position, 1)).all()


def test_backward_undoes_forward() -> None:
    rng = np.random.default_rng(0)
    warp = Warp(0.4, 1.2, np.array([3.0, -2.0]), np.zeros((0, 5)))
    points, centre = rng.uniform(0, 50, (30, 2)), np.array([25.0, 25.0])
    moved = warp.forward(points, centre)
    np.testing.assert_allclose(warp.backward(moved - centre - warp.shift), points - centre)
    np.testing.assert_allclose(IDENTITY.forward(points, centre), points)
