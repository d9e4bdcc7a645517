"""Polygons give masks back, by either way of filling them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from defectsynth_pipeline.export.outlines import (
    EDGES,
    INNER,
    box,
    components,
    filled_by_centres,
    filled_to_pixels,
    polygons,
)

from .conftest import ring


@pytest.mark.parametrize(
    ("corners", "fill"), [(EDGES, filled_by_centres), (INNER, filled_to_pixels)]
)
@pytest.mark.parametrize("smooth", [0.0, 0.8, 2.0])
def test_every_mask_comes_back_whole(rng, corners, fill, smooth):
    for _ in range(8):
        mask = ndimage.gaussian_filter(rng.normal(size=(31, 37)), smooth) > 0.02
        found = polygons(mask, corners)
        assert len(found) == len(components(mask))
        assert (fill(found, mask.shape) == mask).all()


def test_a_hole_with_an_island_is_no_part_of_the_polygon():
    mask = ring()
    for found in polygons(mask, EDGES):
        assert len(found) >= 4
    assert (filled_by_centres(polygons(mask, EDGES), mask.shape) == mask).all()


def test_one_pixel_is_a_square():
    mask = np.zeros((4, 5), dtype=bool)
    mask[2, 3] = True
    (found,) = polygons(mask, EDGES)
    assert sorted(map(tuple, found.tolist())) == [(3, 2), (3, 3), (4, 2), (4, 3)]
    assert box(mask) == (3, 2, 1, 1)


def test_straight_lines_have_no_corners_between():
    mask = np.zeros((50, 50), dtype=bool)
    mask[5:45, 5:45] = True
    (found,) = polygons(mask, INNER)
    assert len(found) == 4
