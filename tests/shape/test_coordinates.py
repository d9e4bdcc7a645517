from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.shape.coordinates import interpolate_coordinates, ordered_coordinates
from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.skeleton import stroke_tree
from shape.builders import bar, disc

SIZE = (96, 96)


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
