"""Which real pixel each pixel of a new shape shows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from categories import round_spot
from defectsynth_pipeline.appearance.transport import is_thin, sources
from defectsynth_pipeline.imaging.motion import Motion
from defectsynth_pipeline.shape.strokes import Stroke, draw

SHAPE = (96, 96)


def ellipse(y: float, x: float, height: float, width: float) -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    return ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 <= 1


def path(*points: tuple[float, float], radius: float = 1.5) -> Stroke:
    ends = np.array(points, dtype=float)
    steps = [np.linspace(a, b, 40, endpoint=False) for a, b in pairwise(ends)]
    line = np.concatenate([*steps, ends[-1:]])
    return Stroke(line, np.full(len(line), radius))


def crack(*strokes: Stroke) -> np.ndarray:
    return draw(strokes, *SHAPE)


def test_thin_and_compact_shapes_are_told_apart() -> None:
    assert is_thin(crack(path((10, 10), (80, 70))))
    assert not is_thin(ellipse(40, 40, 12, 18))
    assert not is_thin(round_spot(SHAPE, 40, 40, 2.5))


@pytest.mark.parametrize("mask", [ellipse(40, 50, 12, 18), crack(path((20, 10), (60, 80)))])
def test_a_shape_onto_itself_is_itself(mask: np.ndarray) -> None:
    wanted = np.argwhere(mask)
    assert np.abs(sources(mask, mask, wanted) - wanted).max() < 1.5


@pytest.mark.parametrize("mask", [ellipse(40, 50, 12, 18), crack(path((20, 10), (60, 80)))])
def test_a_shifted_shape_is_found_where_it_was(mask: np.ndarray) -> None:
    moved = np.roll(mask, (9, -6), (0, 1))
    wanted = np.argwhere(moved)
    gaps = sources(mask, moved, wanted) - (wanted - [9, -6])
    assert np.median(np.hypot(*gaps.T)) < 1.0


def test_places_lie_in_the_real_mask() -> None:
    real, mask = ellipse(30, 30, 6, 14), ellipse(60, 60, 16, 9)
    places = np.rint(sources(real, mask, np.argwhere(mask))).astype(int)
    assert real[tuple(places.T)].all()


def test_a_stretched_shape_is_stretched_and_not_turned() -> None:
    real, mask = ellipse(40, 40, 8, 16), ellipse(50, 50, 16, 8)
    wanted = np.argwhere(mask)
    places = sources(real, mask, wanted)
    for axis in (0, 1):
        assert np.corrcoef(places[:, axis], wanted[:, axis])[0, 1] > 0.9
        assert abs(np.corrcoef(places[:, axis], wanted[:, 1 - axis])[0, 1]) < 0.2


def test_a_shape_turned_with_its_part_is_turned() -> None:
    real = ellipse(48, 48, 8, 16)
    mask = Motion(angle=90.0, centre_y=48.0, centre_x=48.0).warp(real)
    wanted = np.argwhere(mask)
    places = sources(real, mask, wanted, degrees=90.0)
    back = Motion(angle=90.0, centre_y=48.0, centre_x=48.0).back(wanted.astype(float))
    assert np.median(np.hypot(*(places - back).T)) < 1.5


def test_branches_come_from_branches() -> None:
    real = crack(path((20, 10), (20, 85)), path((20, 48), (45, 48)))
    mask = crack(path((70, 10), (60, 85)), path((65, 48), (45, 43)))
    wanted = np.argwhere(mask)
    places = sources(real, mask, wanted)
    branch = wanted[:, 0] < 58
    assert (places[branch, 0] > 25).mean() > 0.9
    main = (wanted[:, 1] < 35) | (wanted[:, 1] > 60)
    assert (np.abs(places[main, 0] - 20) < 3).all()


def test_few_pixels_are_carried_as_they_are() -> None:
    real, mask = (round_spot(SHAPE, *centre, 1) for centre in ((20, 20), (50, 60)))
    wanted = np.argwhere(mask)
    np.testing.assert_allclose(sources(real, mask, wanted), wanted - [30, 40])
