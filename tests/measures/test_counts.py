from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from defectsynth_pipeline.measures.counts import (
    LEVELS,
    coarse_histograms,
    image_score,
    pixel_histograms,
    quantise,
    ratio,
    region_weights,
)
from measures.builders import shots


@pytest.mark.parametrize(
    ("logit", "level"),
    [
        (0.0, 32768),
        (-1e-9, 32767),
        (-1e-30, 32767),
        (1 / 2048, 32769),
        (-16.0, 0),
        (-1e30, 0),
        (15.9999, 65535),
        (16.0, 65535),
        (1e30, 65535),
    ],
)
def test_logits_fall_on_even_levels_with_an_edge_at_zero(logit: float, level: int) -> None:
    assert quantise(np.array([logit], dtype=np.float32)).tolist() == [level]
    assert quantise(np.array([logit])).tolist() == [level]


def test_half_precision_keeps_its_place() -> None:
    logits = np.array([-70.0, -1.0, 0.0, 1.0, 70.0], dtype=np.float16)
    assert quantise(logits).tolist() == [0, 30720, 32768, 34816, 65535]


def test_levels_never_change_the_order() -> None:
    logits = np.sort(np.random.default_rng(0).normal(0, 6, 10000))
    assert (np.diff(quantise(logits).astype(int)) >= 0).all()


def test_image_score_is_the_highest_smoothed_logit() -> None:
    logits = np.random.default_rng(0).normal(size=(17, 11))
    expected = ndimage.convolve(logits, np.full((3, 3), 1 / 9), mode="nearest").max()
    assert image_score(logits) == pytest.approx(expected, abs=1e-12)


def test_one_hot_pixel_counts_a_ninth_and_its_place_does_not_matter() -> None:
    scores = set()
    for place in [(3, 3), (8, 20), (15, 4)]:
        logits = np.full((20, 30), 0.1, dtype=np.float32)
        logits[place] = 7.3
        scores.add(image_score(logits))
    assert len(scores) == 1
    assert scores.pop() == pytest.approx((7.3 + 8 * 0.1) / 9)


def test_histograms_hold_every_pixel_once_and_every_region_as_one() -> None:
    shot = shots()[0]
    counts = pixel_histograms(shot.logits, shot.mask)
    assert counts.shape == (3, LEVELS)
    regions = ndimage.label(shot.mask, np.ones((3, 3)))[1]
    assert counts.sum(axis=1) == pytest.approx([shot.mask.sum(), (~shot.mask).sum(), regions])
    coarse = coarse_histograms(counts)
    assert coarse.sum(axis=1) == pytest.approx(counts.sum(axis=1), rel=1e-5)
    assert coarse[:2, 512:].sum() == (shot.logits >= 0).sum()


def test_each_region_weighs_one_and_corners_connect() -> None:
    mask = np.zeros((6, 6), dtype=bool)
    mask[0, :4] = True
    mask[4, 4] = mask[5, 5] = True
    assert region_weights(mask).tolist() == [0.25] * 4 + [0.5] * 2


def test_no_region_has_no_weights() -> None:
    assert region_weights(np.zeros((3, 4), dtype=bool)).shape == (0,)


def test_a_ratio_to_nothing_is_undefined() -> None:
    found = ratio(np.array([1.0, 0.0, 3.0]), np.array([0.0, 0.0, 4.0]))
    np.testing.assert_array_equal(found, [np.nan, np.nan, 0.75])
