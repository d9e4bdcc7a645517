"""The rival that needs no defect: a memory of the good images' patches (PatchCore).

Anyone would try it first, so whatever a generator brings has to beat it too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth_pipeline.features.encoder import levels_of, patch_features, patches_of
from defectsynth_pipeline.features.memory import CORESET, PatchMemory, smoothed
from defectsynth_pipeline.inspection.batches import View

NETWORK = "patchcore"
ORIGIN = "ImageNet, frozen"
USUAL = 0.999  # quantile of unseen good patches from which a place is called a defect
STEP = 3.0  # logits per deviation of good patches


class MemoryDetector(nn.Module):
    """A patch memory as a detector: logits of its distances.

    Args:
        patches: float32 (N, C), at most `CORESET`; repeated to as many, so that every such
            detector has one shape.
        middle: The distance of logit 0.
        spread: The distance that is worth `STEP` logits.
    """

    patches: Tensor
    scale: Tensor

    def __init__(
        self, patches: Tensor | None = None, middle: float = 0.0, spread: float = 1.0
    ) -> None:
        super().__init__()
        held = torch.zeros(1, 152) if patches is None else patches
        rows = torch.arange(CORESET) % len(held)
        self.register_buffer("patches", held[rows])
        self.register_buffer("scale", torch.tensor([middle, spread]))
        # Tells `score_map` where the detector is.
        self.register_parameter("anchor", nn.Parameter(torch.zeros(()), requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 1, H, W) of normalised images (B, 3, H, W)."""
        features = patches_of(levels_of(x, (8, 16)))
        distances = PatchMemory(self.patches.cpu().float()).distances(features)
        middle, spread = self.scale.tolist()
        logits = STEP * (smoothed(distances[:, None]) - middle) / spread
        return F.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)


def fit_memory(views: Sequence[View], seed: int) -> MemoryDetector:
    """Fill a memory with good images.

    Where logit 0 lies is found on a third of them, which a memory of the others has not seen; it
    moves no ranking metric.

    Args:
        views: Good images, two or more.
        seed: Of the coreset.
    """
    features = [patch_features(view.image[None])[0] for view in views]
    flat = [values.flatten(0, 1) for values in features]
    unseen = range(0, len(flat), 3)
    known = PatchMemory.of((flat[i] for i in range(len(flat)) if i not in unseen), seed=seed)
    maps = [smoothed(known.distances(features[i])[None, None]).numpy().ravel() for i in unseen]
    usual = np.concatenate(maps)
    middle, spread = float(np.quantile(usual, USUAL)), float(max(usual.std(), 1e-6))
    return MemoryDetector(PatchMemory.of(flat, seed=seed).patches, middle, spread)
