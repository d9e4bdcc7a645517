"""A memory of patches: how unlike anything it holds is a place of an image?

PatchCore (Roth et al., "Towards total recall in industrial anomaly detection", CVPR 2022) on the
encoder's features. Filled with good images, it finds defects without having seen one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features.encoder import patch_features

CORESET = 4000  # patches a memory holds at most
CANDIDATES = 60000  # patches the coreset is chosen from, evenly from all images
_PROJECTED = 64  # dimensions in which the coreset is chosen
SMOOTH = 1.0  # patches, deviation of the Gaussian over a map of distances


@dataclass(frozen=True)
class PatchMemory:
    """Patches to compare with.

    Attributes:
        patches: float32 (N, C), as `encoder.patch_features` makes them.
    """

    patches: Tensor

    @classmethod
    def of(
        cls, features: Iterable[Tensor], *, coreset: int = CORESET, seed: int = 0
    ) -> PatchMemory:
        """Fill a memory.

        Args:
            features: float32 (n_i, C) of each image.
            coreset: Patches to keep, those that leave no other far from all kept ones.
            seed: Of the draw of candidates and of the projection.

        Raises:
            InputError: There are no patches.
        """
        parts = list(features)
        total = sum(map(len, parts))
        if not total:
            raise InputError(
                "a memory of patches has nothing to hold",
                value=f"{len(parts)} images",
                remedy="add images of the category",
            )
        generator = torch.Generator().manual_seed(seed)
        share = min(1.0, CANDIDATES / total)
        drawn = [
            part[torch.randperm(len(part), generator=generator)[: max(1, int(share * len(part)))]]
            for part in parts
        ]
        patches = torch.cat(drawn)
        return cls(patches[farthest_first(patches, coreset, generator)])

    def distances(self, features: Tensor) -> Tensor:
        """Return the distance of every patch to the nearest one held, float32 (...) of (..., C)."""
        flat = features.reshape(-1, features.shape[-1])
        own = (self.patches**2).sum(1)
        nearest = [
            (own - 2 * part @ self.patches.T).amin(1) + (part**2).sum(1)
            for part in flat.split(4096)
        ]
        return torch.cat(nearest).clamp_min(0).sqrt().reshape(features.shape[:-1])

    def score_map(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return how unlike the memory each pixel is, float32 (H, W).

        Args:
            image: uint8 (h, w, 3).
            size: (H, W) of the map.
        """
        distances = self.distances(patch_features(image[None]))[:, None]
        smooth = F.interpolate(smoothed(distances), size, mode="bilinear", align_corners=False)
        return np.asarray(smooth[0, 0].numpy())


def farthest_first(patches: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return the numbers of `count` patches (N, C), each the farthest from those before it.

    The greedy k-centre of Sener and Savarese (ICLR 2018), as PatchCore takes it: in a random
    projection, which keeps distances (Johnson and Lindenstrauss, 1984).
    """
    if len(patches) <= count:
        return torch.arange(len(patches))
    plane = torch.randn(patches.shape[1], _PROJECTED, generator=generator) / _PROJECTED**0.5
    points = patches @ plane
    squares = (points**2).sum(1)
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = torch.full((len(points),), torch.inf)
    for _ in range(count - 1):
        last = points[chosen[-1]]
        nearest = torch.minimum(nearest, squares - 2 * (points @ last) + squares[chosen[-1]])
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen)


def smoothed(maps: Tensor) -> Tensor:
    """Return maps of distances (B, 1, h, w) under a Gaussian of `SMOOTH`, the border repeated."""
    reach = int(3 * SMOOTH)
    line = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * SMOOTH**2))
    line = line / line.sum()
    wide = F.pad(maps, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(wide, line[None, None, :, None]), line[None, None, None])
