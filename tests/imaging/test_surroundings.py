"""What surrounds a mask."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.imaging.pixels import feather


def test_feather_is_one_inside_and_gone_past_the_collar() -> None:
    rows, columns = np.indices((40, 40))
    mask = np.hypot(rows - 20, columns - 20) < 6
    distance = ndimage.distance_transform_edt(~mask)
    weight = feather(mask, 3.0)
    assert (weight[mask] == 1).all()
    assert (weight[distance > 3] == 0).all()
    between = (distance > 0) & (distance <= 3)
    assert ((weight[between] > 0) & (weight[between] < 1)).all()
    assert (feather(mask, 0.0) == mask).all()
    assert not feather(np.zeros((5, 5), dtype=bool), 2.0).any()
