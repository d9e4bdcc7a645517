"""Generated against real images, as the field measures them; on features, whatever saw the images.

KID and IS are torchmetrics'. A perceptual distance is a squared distance of vectors here (see
`features.extractors`), so that the mean over all pairs of a cluster follows from two sums.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn


def kernel_distance(
    real: Tensor, generated: Tensor, *, subset: int, subsets: int, seed: int
) -> tuple[float, float]:
    """KID x 10^3: squared MMD of a cubic kernel, unbiased (Binkowski et al., ICLR 2018).

    Args:
        real: float (N, D).
        generated: float (M, D).
        subset: Images of either in a subset, at most min(N, M).
        subsets: How often they are drawn.
        seed: Of the draws.

    Returns:
        Mean and deviation over the subsets; the mean of equal distributions is about 0 and may be
        below.

    Raises:
        ValueError: A side has fewer than `subset` images.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    with _quiet(seed):
        metric = KernelInceptionDistance(feature=nn.Identity(), subsets=subsets, subset_size=subset)
        metric.update(real, real=True)
        metric.update(generated, real=False)
        mean, deviation = metric.compute()
    return float(mean) * 1e3, float(deviation) * 1e3


def feature_distance(real: Tensor, generated: Tensor) -> float:
    """Squared distance of the two means, less what chance adds to it: the linear kernel's MMD.

    Args:
        real: float (N, D), N >= 2.
        generated: float (M, D), M >= 2.

    Returns:
        Unbiased, so that few images do not make it larger; it may be below 0.
    """
    sides = [side.double() for side in (real, generated)]
    chance = sum(float(side.var(0).sum()) / len(side) for side in sides)
    return float(((sides[0].mean(0) - sides[1].mean(0)) ** 2).sum()) - chance


def inception_score(logits: Tensor, *, splits: int, seed: int) -> float:
    """IS: how sure a classifier is of each image, and how many classes it sees, in [1, classes].

    Args:
        logits: float (N, K), N >= splits.
        splits: Parts of which the mean is taken; an image counts in one.
        seed: Of the parts.
    """
    from torchmetrics.image.inception import InceptionScore

    with _quiet(seed):
        metric = InceptionScore(feature=nn.Identity(), splits=splits)
        metric.update(logits)
        mean, _ = metric.compute()
    return float(mean)


def precision_recall(real: Tensor, generated: Tensor, neighbours: int) -> tuple[float, float]:
    """Share of the generated inside the real manifold, and of the real inside the generated one.

    Kynkaanniemi et al., NeurIPS 2019: a manifold is the balls around its images that reach their
    k-th nearest neighbour.

    Args:
        real: float (N, D), N > neighbours.
        generated: float (M, D), M > neighbours.
        neighbours: k.
    """
    real, generated = real.double(), generated.double()
    between = torch.cdist(generated, real)
    reach = [torch.cdist(side, side).kthvalue(neighbours + 1).values for side in (real, generated)]
    precision = (between <= reach[0]).any(1).double().mean()
    recall = (reach[1][:, None] >= between).any(0).double().mean()
    return float(precision), float(recall)


class Clusters:
    """Intra-cluster distance (IC-LPIPS; Ojha et al., CVPR 2021): each image joins its nearest seed.

    Args:
        seeds: float (R, D), vectors of the real images that the generator saw.
    """

    def __init__(self, seeds: Tensor) -> None:
        self.seeds = seeds
        self.counts = torch.zeros(len(seeds), dtype=torch.float64)
        self._sums = torch.zeros(seeds.shape, dtype=torch.float64)
        self._squares = torch.zeros(len(seeds), dtype=torch.float64)

    def update(self, vectors: Tensor) -> None:
        """Add generated images, float (B, D)."""
        nearest = torch.cdist(vectors, self.seeds).argmin(1)
        vectors = vectors.double()
        self._sums.index_add_(0, nearest, vectors)
        self._squares.index_add_(0, nearest, (vectors**2).sum(1))
        self.counts.index_add_(0, nearest, torch.ones(len(vectors), dtype=torch.float64))

    def means(self) -> np.ndarray:
        """Mean squared distance over all pairs of each cluster that has one, float (<= R,)."""
        several = self.counts > 1
        counts, sums = self.counts[several], (self._sums[several] ** 2).sum(1)
        pairs = counts * (counts - 1)
        return np.asarray(2 * (counts * self._squares[several] - sums).clamp_min(0) / pairs)


@contextmanager
def _quiet(seed: int) -> Iterator[None]:
    """torchmetrics draws from torch's own generator, and warns of memory and of single splits."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.manual_seed(seed)
        yield
