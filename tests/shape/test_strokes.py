from __future__ import annotations

import numpy as np

from defectsynth_pipeline.shape.strokes import Stroke, draw


def test_a_stroke_is_as_wide_as_its_radius_says() -> None:
    path = np.stack([np.full(60, 20.0), np.arange(60.0)], axis=1)
    drawn = draw([Stroke(path, np.full(60, 3.5))], 40, 60)
    assert (drawn[:, 20:40].sum(axis=0) == 7).all()


def test_what_lies_outside_the_frame_is_not_drawn() -> None:
    path = np.stack([np.full(9, -30.0), np.arange(9.0)], axis=1)
    assert not draw([Stroke(path, np.ones(9))], 20, 20).any()
