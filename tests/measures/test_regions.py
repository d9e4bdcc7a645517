from __future__ import annotations

import numpy as np

from defectsynth_pipeline.measures.regions import region_weights


def test_each_region_weighs_one_and_corners_connect() -> None:
    mask = np.zeros((6, 6), dtype=bool)
    mask[0, :4] = True
    mask[4, 4] = mask[5, 5] = True
    assert region_weights(mask).tolist() == [0.25] * 4 + [0.5] * 2


def test_no_region_has_no_weights() -> None:
    assert region_weights(np.zeros((3, 4), dtype=bool)).shape == (0,)
