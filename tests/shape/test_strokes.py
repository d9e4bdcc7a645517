from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.strokes import Stroke, draw, stroke_tree
from shape.builders import crack, disc


@pytest.mark.parametrize("seed", range(3))
def test_drawing_the_tree_gives_the_crack_back(seed: int) -> None:
    mask = crack(seed)
    tree = stroke_tree(mask)
    again = draw(tree.strokes, *mask.shape)
    assert (mask & again).sum() / (mask | again).sum() > 0.75
    assert measure(again).width == pytest.approx(measure(mask).width, rel=0.25)
    assert measure(again).parts == 1


def test_the_main_path_is_the_longest_and_the_branch_starts_on_it() -> None:
    tree = stroke_tree(crack(0))
    assert np.ptp(tree.main.points[:, 1]) > 100
    longest = max(tree.branches, key=lambda branch: branch.area)
    assert 0.2 < longest.at < 0.8
    gaps = np.hypot(*(tree.main.points - longest.strokes[0].points[0]).T)
    assert gaps.min() < 2


def test_gaps_of_a_dotted_line_stay_gaps() -> None:
    mask = np.zeros((20, 100), dtype=bool)
    mask[9:12, 5:30] = mask[9:12, 40:60] = mask[9:12, 75:95] = True
    tree = stroke_tree(mask)
    assert len(tree.main.points) > 80
    assert (tree.main.radii == 0).sum() > 15
    assert measure(draw(tree.strokes, 20, 100)).parts == 3


@pytest.mark.parametrize("mask", [disc(20, 10, 10, 0.5), disc(20, 10, 10, 1), disc(20, 0, 0, 2)])
def test_specks_have_a_tree_too(mask: np.ndarray) -> None:
    assert draw(stroke_tree(mask).strokes, 20, 20).any()


def test_a_stroke_is_as_wide_as_its_radius_says() -> None:
    path = np.stack([np.full(60, 20.0), np.arange(60.0)], axis=1)
    drawn = draw([Stroke(path, np.full(60, 3.5))], 40, 60)
    assert (drawn[:, 20:40].sum(axis=0) == 7).all()


def test_what_lies_outside_the_frame_is_not_drawn() -> None:
    path = np.stack([np.full(9, -30.0), np.arange(9.0)], axis=1)
    assert not draw([Stroke(path, np.ones(9))], 20, 20).any()
