from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.measures.resampling import (
    image_weights,
    interval,
    seed_mean,
    seed_weights,
)

GROUPS = ["a", "a", "b", "c", "d", "e", "f"]
STRATA = ["crack"] * 4 + ["good"] * 3


def test_groups_stay_together_and_strata_keep_their_number_of_groups() -> None:
    weights = image_weights(GROUPS, STRATA, 500, seed=0)
    assert weights.shape == (500, 7)
    assert weights.dtype == np.float32
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, [1, 2, 3]].sum(axis=1) == 3).all()
    assert (weights[:, 4:].sum(axis=1) == 3).all()
    assert weights[:, 2].min() == 0
    assert weights[:, 2].mean() == pytest.approx(1, abs=0.1)
    assert len(np.unique(weights, axis=0)) > 20


def test_draws_depend_on_the_seed_and_not_on_order_or_other_strata() -> None:
    weights = image_weights(GROUPS, STRATA, 50, seed=0)
    assert np.array_equal(weights, image_weights(GROUPS, STRATA, 50, seed=0))
    assert not np.array_equal(weights, image_weights(GROUPS, STRATA, 50, seed=1))
    back = image_weights(GROUPS[::-1], STRATA[::-1], 50, seed=0)
    assert np.array_equal(weights, back[:, ::-1])
    assert np.array_equal(weights[:, :4], image_weights(GROUPS[:4], STRATA[:4], 50, seed=0))


def test_a_group_across_strata_is_drawn_as_one() -> None:
    groups = ["a", "a", "a", "b", "c"]
    strata = ["crack", "crack", "good", "crack", "good"]
    weights = image_weights(groups, strata, 100, seed=0)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] + weights[:, 3] == 2).all()
    assert (weights[:, 4] == 1).all()


def test_no_images_and_unequal_lists() -> None:
    assert image_weights([], [], 5, seed=0).shape == (5, 0)
    with pytest.raises(InputError, match="3 and 2"):
        image_weights(["a", "b", "c"], ["x", "y"], 5, seed=0)


def test_seeds_are_drawn_with_replacement() -> None:
    weights = seed_weights(3, 200, seed=0)
    assert weights.shape == (200, 3)
    assert (weights.sum(axis=1) == 3).all()
    assert set(np.unique(weights)) == {0, 1, 2, 3}
    assert (seed_weights(1, 10, seed=0) == 1).all()


def test_interval_holds_the_middle_and_leaves_nan_out() -> None:
    values = np.concatenate([np.arange(101.0), [np.nan] * 50])
    assert interval(values, 0.9) == pytest.approx((5, 95))
    assert np.isnan(interval(np.array([np.nan, np.nan]), 0.95)).all()


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    names = [str(number) for number in range(40)]
    weights = image_weights(names, ["good"] * 40, 400, seed=0)
    hits = 0
    for _ in range(300):
        low, high = interval(weights @ rng.normal(size=40) / 40, 0.9)
        hits += low <= 0 <= high
    assert 0.83 < hits / 300 < 0.95


def test_mean_over_seeds_is_weighed_by_their_draws() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=200) for _ in range(3)]
    weights = seed_weights(3, 200, seed=0)
    expected = (np.stack(noise, axis=1) * weights).sum(axis=1) / 3
    assert seed_mean(noise, weights) == pytest.approx(expected)


def test_nan_of_a_seed_counts_only_where_the_seed_is_drawn() -> None:
    weights = np.array([[2, 0], [1, 1]], dtype=np.float32)
    values = [np.array([0.5, 0.5]), np.array([np.nan, np.nan])]
    mean = seed_mean(values, weights)
    assert mean[0] == 0.5
    assert np.isnan(mean[1])
    with pytest.raises(InputError, match="differ in shape"):
        seed_mean(values[:1], weights)


def test_seeds_count_as_often_as_they_were_drawn() -> None:
    values = [np.array([0.3, 0.3]), np.array([0.9, 0.9])]
    found = seed_mean(values, np.array([[2, 1], [0, 1]]))
    np.testing.assert_allclose(found, [0.5, 0.9])
