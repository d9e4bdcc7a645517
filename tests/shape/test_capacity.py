from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.shape.capacity import count_distinct, distinct_frames, mask_capacity
from defectsynth_pipeline.shape.geometry import measure
from shape.builders import disc


@pytest.mark.parametrize(("masks", "expected"), [(0, 0), (1, 0), (2, 10), (3, 30), (10, 450)])
def test_capacity_is_pairs_times_frames(masks: int, expected: int) -> None:
    assert mask_capacity(masks, 10) == expected


def test_frames_between_equal_specks_are_one() -> None:
    speck = measure(disc(20, 10, 10, 1))
    assert distinct_frames(speck, speck, 10) == 1
    assert distinct_frames(speck, measure(disc(20, 10, 14, 1)), 10) == 4
    assert distinct_frames(speck, measure(disc(20, 10, 10, 6)), 10) == 10


def test_distinct_masks_are_counted_by_shape_and_content() -> None:
    zeros = np.zeros((4, 4), dtype=bool)
    assert count_distinct([zeros, zeros.copy(), ~zeros, np.zeros((2, 8), dtype=bool)]) == 3
