"""Measures of generated images: torchmetrics' values, and answers that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from defectsynth_pipeline.measures.generation import (
    Clusters,
    feature_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)

SUBSETS = {"subset": 8, "subsets": 50, "seed": 3}


def gaussian(count: int, width: int, mean: float = 0.0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator) + mean


def cubic(first: Tensor, second: Tensor) -> np.ndarray:
    return (first.double() @ second.double().T / first.shape[1] + 1).numpy() ** 3


def unbiased(real: Tensor, generated: Tensor) -> float:
    """Squared MMD of the cubic kernel over all pairs of different images."""
    within = [cubic(side, side) for side in (real, generated)]
    for kernel in within:
        np.fill_diagonal(kernel, np.nan)
    return float(sum(map(np.nanmean, within)) - 2 * cubic(real, generated).mean())


def test_kid_is_torchmetrics_own() -> None:
    real, generated = gaussian(20, 16), gaussian(30, 16, 0.3, seed=1)
    torch.manual_seed(3)
    metric = KernelInceptionDistance(feature=nn.Identity(), subsets=50, subset_size=8)
    metric.update(real, real=True)
    metric.update(generated, real=False)
    mean, deviation = metric.compute()
    found = kernel_distance(real, generated, **SUBSETS)
    assert found == pytest.approx((1e3 * float(mean), 1e3 * float(deviation)))
    assert found == kernel_distance(real, generated, **SUBSETS)


def test_kid_of_one_subset_that_is_everything_is_the_unbiased_mmd() -> None:
    real, generated = gaussian(20, 16), gaussian(20, 16, 0.5, seed=1)
    found, _ = kernel_distance(real, generated, subset=20, subsets=1, seed=0)
    assert found == pytest.approx(1e3 * unbiased(real, generated), rel=1e-4)


def test_kid_of_shifted_gaussians_is_known() -> None:
    width, shift = 8, 0.5
    ours, theirs = gaussian(4000, width, shift, seed=1), gaussian(4000, width)

    def moment(first: float, second: float) -> float:
        """The mean of the kernel of x ~ N(first, 1) and y ~ N(second, 1), independent."""
        dot, one, two = width * first * second, width * first**2, width * second**2
        square = dot**2 + one + two + width
        cube = dot**3 + 3 * dot * one + 3 * dot * (two + width + 2)
        return cube / width**3 + 3 * square / width**2 + 3 * dot / width + 1

    known = moment(shift, shift) + moment(0, 0) - 2 * moment(shift, 0)
    found, _ = kernel_distance(theirs, ours, subset=500, subsets=40, seed=0)
    assert found == pytest.approx(1e3 * known, rel=0.05)


def test_kid_leaves_the_seed_of_others_alone() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    kernel_distance(gaussian(9, 4), gaussian(9, 4, seed=1), **SUBSETS)
    inception_score(gaussian(9, 4), splits=1, seed=1)
    assert torch.equal(torch.rand(3), wanted)


def test_equal_distributions_have_no_distance() -> None:
    real, other = gaussian(2000, 16), gaussian(2000, 16, seed=1)
    found, _ = kernel_distance(real, other, subset=200, subsets=20, seed=0)
    assert found == pytest.approx(0, abs=5)
    assert feature_distance(real, other) == pytest.approx(0, abs=0.01)
    assert kernel_distance(real[:9], real[:9], subset=9, subsets=1, seed=0)[0] < 0
    assert feature_distance(real[:9], real[:9]) < 0


def test_the_distance_of_shifted_gaussians_is_their_shift_squared_whatever_their_number() -> None:
    few = [
        feature_distance(gaussian(4, 64, seed=n), gaussian(5, 64, 0.5, seed=100 + n))
        for n in range(300)
    ]
    assert np.mean(few) == pytest.approx(64 * 0.25, rel=0.1)


def test_precision_and_recall_of_identical_sets_are_one_and_of_disjoint_ones_zero() -> None:
    real = gaussian(30, 8)
    assert precision_recall(real, real, 3) == (1.0, 1.0)
    assert precision_recall(real, real + 100, 3) == (0.0, 0.0)


def test_what_shows_one_of_two_kinds_is_precise_but_recalls_half() -> None:
    kinds = torch.cat([gaussian(100, 4), gaussian(100, 4, 50, seed=1)])
    precision, recall = precision_recall(kinds, gaussian(200, 4, seed=2), 5)
    assert precision > 0.9
    assert 0.4 < recall <= 0.5


def test_inception_score_is_torchmetrics_own() -> None:
    logits = 3 * gaussian(40, 10)
    torch.manual_seed(2)
    metric = InceptionScore(feature=nn.Identity(), splits=4)
    metric.update(logits)
    assert inception_score(logits, splits=4, seed=2) == pytest.approx(float(metric.compute()[0]))


def test_inception_score_counts_the_classes_that_are_seen_for_sure() -> None:
    sure = 100 * torch.eye(5).repeat(4, 1)
    assert inception_score(sure, splits=1, seed=0) == pytest.approx(5)
    assert inception_score(sure[:1].repeat(9, 1), splits=1, seed=0) == pytest.approx(1)
    assert inception_score(torch.zeros(9, 5), splits=1, seed=0) == pytest.approx(1)


def test_a_cluster_has_the_mean_distance_of_all_its_pairs() -> None:
    seeds = torch.tensor([[0.0, 0, 0], [9, 9, 9], [-90, 0, 0]])
    near, far = gaussian(7, 3), gaussian(5, 3, 9, seed=1)
    clusters = Clusters(seeds)
    for batch in torch.cat([near, far])[torch.randperm(12)].split(5):
        clusters.update(batch)
    assert clusters.counts.tolist() == [7, 5, 0]
    wanted = [float((torch.pdist(part) ** 2).mean()) for part in (near, far)]
    assert clusters.means() == pytest.approx(wanted, rel=1e-4)


def test_copies_have_no_diversity_and_a_single_image_no_pair() -> None:
    clusters = Clusters(torch.zeros(1, 3))
    clusters.update(torch.full((1, 3), 0.3))
    assert not len(clusters.means())
    clusters.update(torch.full((8, 3), 0.3))
    assert clusters.means() == pytest.approx(0, abs=1e-12)
