"""Paired differences of KID: what the estimate is, and that it knows more from less."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from defectsynth_pipeline.ablation.rating import RESAMPLES, kid_draws


def features(count: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 16, generator=torch.Generator().manual_seed(seed)) + shift


def test_equal_sets_do_not_differ_at_all():
    mine = features(40, 1)
    assert not kid_draws(features(8, 0), mine, mine.clone(), 0).any()


def test_the_difference_is_that_of_torchmetrics():
    real, mine, other = features(30, 0), features(30, 1, 0.2), features(30, 2)
    wanted = [float(poly_mmd(real, one)) for one in (mine, other)]
    found = kid_draws(real, mine, other, 0)[0]
    assert found == pytest.approx(1e3 * (wanted[0] - wanted[1]), rel=1e-4)


def test_a_shifted_set_is_worse_beyond_chance():
    real, other = features(30, 0), features(60, 2)
    draws = kid_draws(real, other + 0.5, other, 0)
    assert draws.shape == (1 + RESAMPLES,)
    assert np.quantile(draws[1:], 0.025) > 0


def test_sets_of_one_plan_are_told_apart_sooner_than_others():
    real, other = features(30, 0), features(60, 2)
    paired = kid_draws(real, other + 0.05, other, 0)
    alone = kid_draws(real, features(60, 3) + 0.05, other, 0)
    assert paired[1:].std() < 0.5 * alone[1:].std()


def test_draws_depend_on_the_seed_alone():
    given = features(9, 0), features(12, 1), features(12, 2)
    first, again, other = (kid_draws(*given, seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert first[0] == other[0]
    assert (first[1:] != other[1:]).any()
