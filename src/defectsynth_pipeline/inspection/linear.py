"""A classifier of defect types that looks where an image is unlike good ones.

The frozen encoder's patches, those farthest from the good images' by Mahalanobis distance
(Defard et al., "PaDiM", ICPR Workshops 2020, with one Gaussian for all places), averaged, and
multinomial logistic regression on that. A defect of a few pixels is as loud as a large one, and a
few images per type are enough, since only the regression is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features.encoder import CHANNELS, STRIDES, normalised, on_grid
from defectsynth_pipeline.features.regression import fit_regression
from defectsynth_pipeline.inspection.batches import View

NETWORK = "lite0-linear"
ORIGIN = "ImageNet, frozen"
LOOKED_AT = 0.025  # share of an image's patches
ORIENTATIONS = ((0, False), (2, False), (1, True), (3, True))  # quarter turns, then mirrored
_LEVELS = (4, 8, 16, 32)
_GRID = 16  # px, stride of the patches
_WIDTH = sum(CHANNELS[STRIDES.index(stride)] for stride in _LEVELS)
_SHRINKAGE = 0.1  # of each variance, added to the covariance's diagonal
_EVIDENCE = 10.0  # total weight of a training set against the prior of weights of variance 1
_AT_ONCE = 8  # images


class UnusualPatches(nn.Module):
    """Says what the patches of an image look like that good images have not.

    Its buffers describe the good images' patches, so that it is stored in kilobytes; the encoder
    is not stored.
    """

    running_mean: Tensor
    running_var: Tensor
    whitening: Tensor

    def __init__(self) -> None:
        """Set up patches of mean 0 and covariance 1, to be replaced by `of` or a stored state."""
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(_WIDTH))
        self.register_buffer("running_var", torch.ones(_WIDTH))
        # Of standardised features, so that half precision holds it.
        self.register_buffer("whitening", torch.eye(_WIDTH))

    @classmethod
    def of(cls, normals: Iterable[View]) -> UnusualPatches:
        """Learn the mean and the covariance of good images' patches.

        Args:
            normals: Good images, of one size.

        Raises:
            InputError: There are none.
        """
        count, total, products = 0, torch.zeros(_WIDTH).double(), torch.zeros(_WIDTH, _WIDTH)
        products = products.double()
        for view in normals:
            for turned in _orientations(normalised(view.image[None])):
                patches = _patches(turned).flatten(0, 1).cpu().double()
                count, total = count + len(patches), total + patches.sum(0)
                products += patches.T @ patches
        if not count:
            raise InputError(
                "the classifier has no good image to compare with",
                value="0 normal images",
                remedy="add normal images of the category",
            )
        mean = total / count
        covariance = products / count - mean[:, None] * mean
        variance = covariance.diagonal().clamp_min(1e-8)
        correlation = covariance / (variance[:, None] * variance).sqrt()
        shrunk = correlation + _SHRINKAGE * torch.eye(_WIDTH)
        look = cls()
        look.running_mean.copy_(mean)
        look.running_var.copy_(variance)
        look.whitening.copy_(torch.linalg.inv(torch.linalg.cholesky(shrunk)))
        return look

    def distances(self, patches: Tensor) -> Tensor:
        """Return the squared Mahalanobis distances (...) of patches (..., C) to good ones."""
        standard = (patches - self.running_mean) / self.running_var.sqrt()
        return ((standard @ self.whitening.T) ** 2).sum(-1)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the mean of the most unusual patches.

        Args:
            images: As `encoder.normalised` makes them, (B, 3, side, side).

        Returns:
            float32 (B, len(ORIENTATIONS), C).
        """
        views = [self._pooled(turned) for turned in _orientations(images)]
        return torch.stack(views, 1)

    def _pooled(self, images: Tensor) -> Tensor:
        parts = []
        for some in images.split(_AT_ONCE):
            patches = _patches(some).to(self.running_mean.device)
            count = max(1, round(LOOKED_AT * patches.shape[1]))
            chosen = self.distances(patches).topk(count, 1).indices
            parts.append(patches.gather(1, chosen[..., None].expand(-1, -1, _WIDTH)).mean(1))
        return torch.cat(parts)


class LinearClassifier(nn.Module):
    """Logits of defect types, the mean over the orientations of an image."""

    def __init__(self, n_types: int) -> None:
        """Set up an untrained classifier; `fit_linear` trains one."""
        super().__init__()
        self.look = UnusualPatches()
        self.scale = nn.BatchNorm1d(_WIDTH, affine=False, eps=1e-6)
        self.head = nn.Linear(_WIDTH, n_types)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, n_types) of images (B, 3, side, side), as `normalised` makes them."""
        return self.judged(self.look(images))

    def judged(self, looks: Tensor) -> Tensor:
        """Return logits (B, n_types) of what `UnusualPatches` or `Looks` made of images."""
        flat = looks.flatten(0, 1)
        scale = self.scale  # by its stored statistics, in training mode too
        standard = F.batch_norm(flat, scale.running_mean, scale.running_var, eps=scale.eps)
        logits: Tensor = self.head(standard).unflatten(0, looks.shape[:2])
        return logits.log_softmax(-1).mean(1)


class Looks:
    """What images look like, each computed once for all arms and seeds while its view lives."""

    def __init__(self, look: UnusualPatches) -> None:
        """Set up the cache."""
        self.look = look
        self._kept: WeakKeyDictionary[View, Tensor] = WeakKeyDictionary()

    def of(self, views: Sequence[View]) -> Tensor:
        """Return float32 (N, len(ORIENTATIONS), C)."""
        new = [view for view in dict.fromkeys(views) if view not in self._kept]
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            looks = self.look(normalised(np.stack([view.image for view in some])))
            self._kept.update(zip(some, looks, strict=True))
        return torch.stack([self._kept[view] for view in views])


def fit_linear(
    looks: Looks, views: Sequence[View], labels: np.ndarray, weights: np.ndarray, n_types: int
) -> LinearClassifier:
    """Train a classifier; nothing is random.

    Every type present has the same total weight, and so has every training set, whatever the
    number of images: the regularisation is the same for all arms.

    Args:
        looks: Of the category's good images.
        views: N training images, square, of one size; a view may occur repeatedly.
        labels: int (N,), types from 0.
        weights: (N,), >= 0: what each image counts among those of its type.
        n_types: Types of the category; one without an image is hardly ever predicted.

    Raises:
        InputError: No image has a weight.
    """
    if not len(views) or not (weights > 0).any():
        raise InputError(
            "the classifier has no image to learn from",
            value=f"{len(views)} images, sum of weights {np.sum(weights):g}",
            remedy="give the arm images of defects",
        )
    seen = looks.of(views).double()
    of_type = np.bincount(labels, weights, minlength=n_types)
    of_image = weights / np.maximum(of_type, 1e-12)[labels] / (of_type > 0).sum()
    share = torch.from_numpy(of_image).double()[:, None] / seen.shape[1]
    mean = (share[..., None] * seen).sum((0, 1))
    variance = (share[..., None] * (seen - mean) ** 2).sum((0, 1))
    model = LinearClassifier(n_types)
    model.look = looks.look
    model.scale.running_mean = mean.float()
    model.scale.running_var = variance.float()
    standard = (seen - mean) / (variance + model.scale.eps).sqrt()
    turns = seen.shape[1]
    weight, bias = fit_regression(
        standard.flatten(0, 1).numpy(),
        labels.repeat(turns),
        _EVIDENCE * share.expand(-1, turns).flatten().numpy(),
        n_types,
    )
    model.head.load_state_dict(
        {"weight": torch.tensor(weight).float(), "bias": torch.tensor(bias).float()}
    )
    return model.eval().requires_grad_(False)


def _orientations(images: Tensor) -> list[Tensor]:
    """The images (B, 3, side, side), turned and mirrored."""
    turned = [(images.rot90(turns, (2, 3)), mirrored) for turns, mirrored in ORIENTATIONS]
    return [image.flip(3) if mirrored else image for image, mirrored in turned]


def _patches(images: Tensor) -> Tensor:
    """Four levels on one grid, float32 (B, patches of 16 px, C)."""
    return on_grid(images, _LEVELS, _GRID).flatten(2).transpose(1, 2)
