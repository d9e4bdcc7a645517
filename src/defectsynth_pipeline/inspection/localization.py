"""Localization of defects (the paper's Table IX): a U-Net with a ResNet encoder, a logit per pixel.

It is trained on windows and tested on whole images at their native size.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import partial

import numpy as np
import pandas as pd
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth_pipeline.features.encoder import normalised
from defectsynth_pipeline.features.weights import load_imagenet
from defectsynth_pipeline.imaging.pixels import crop
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.inspection.batches import View, localization_batch
from defectsynth_pipeline.inspection.test_set import TestSet
from defectsynth_pipeline.inspection.training import Batches, Task, fast_arithmetic
from defectsynth_pipeline.measures.detection import LocalizationStats
from defectsynth_pipeline.options import LocalizationOptions

# Half the library's widths but for the last: on a CPU the decoder would else cost more than the
# encoder, and the encoder is what knows shapes.
DECODER_WIDTHS = (128, 64, 32, 16, 16)
STRIDE = 32  # of a ResNet encoder


class Localizer(smp.Unet):  # type: ignore[misc]
    """The library's U-Net; the last layer stays in float32 whatever the rest computes in.

    Rounded to bfloat16, logits would fall on a few hundred levels, and ranking metrics would see
    ties that the network does not mean.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 1, H, W) of images (B, 3, H, W)."""
        features = self.decoder(self.encoder(x))
        with torch.autocast(x.device.type, enabled=False):
            logits: Tensor = self.segmentation_head(features.float())
        return logits


class Localization(Task[LocalizationStats]):
    """A logit per pixel, for all defect types of one category; a result is statistics of maps."""

    name, square, legacy = "localization", False, "pixel_ap"

    def __init__(self, options: LocalizationOptions, types: Sequence[str]) -> None:
        super().__init__(options, types)
        self.patch, self.network = options.patch, options.encoder

    @staticmethod
    def build(network: str, n_types: int, weights: str) -> tuple[nn.Module, str]:
        """Return a U-Net with one output channel, whatever the number of types."""
        model = Localizer(
            network, encoder_weights=None, decoder_channels=DECODER_WIDTHS, in_channels=3, classes=1
        )
        origin = load_imagenet(model.encoder, network, weights)
        return model.to(memory_format=torch.channels_last), origin

    def batches(self, views: Sequence[View], rows: pd.DataFrame, seed: int) -> Batches:
        """Return windows and their cover; without `patch`, windows that hold every image."""
        height, width = np.max([view.cover.shape for view in views], axis=0)
        window = (_strided(height), _strided(width))
        if self.patch:
            window = (self.patch, self.patch)
        return partial(localization_batch, views, window, self.training.batch_size, seed)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return cross-entropy plus Dice."""
        return segmentation_loss(outputs, targets)

    def validation_loss(
        self, model: nn.Module, views: Sequence[View], types: Sequence[str]
    ) -> float:
        """Return the mean of cross-entropy plus Dice over whole images."""
        losses = []
        for view in views:
            logits = torch.from_numpy(score_map(model, view.image, view.cover.shape))
            cover = torch.from_numpy(view.cover / np.float32(255))
            losses.append(segmentation_loss(logits[None, None], cover[None, None]).item())
        return float(np.mean(losses))

    def evaluate(
        self, model: nn.Module, tests: TestSet, overlays: Collection[str]
    ) -> tuple[LocalizationStats, dict[str, np.ndarray]]:
        """Stream the score maps of all images, at native size, into the statistics."""
        stats, maps = LocalizationStats(), {}
        for test in tests.images():
            logits = score_map(model, test.image, test.mask.shape)
            stats.update(test.sample_id, test.group, test.defect_type, logits, test.mask)
            if test.sample_id in overlays:
                levels = 255 / (1 + np.exp(-logits.clip(-30, 30)))
                maps[test.sample_id] = np.rint(levels).astype(np.uint8)
        return stats, maps

    def metrics(self, result: LocalizationStats) -> dict[str, float]:
        """Return the metrics over all types."""
        return result.metrics()


@torch.no_grad()
def score_map(model: nn.Module, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the logits of a whole image, float32 (H, W).

    The image is reflected to a multiple of the encoder's stride, and what was added is cut off
    before the map is brought to its size bilinearly.

    Args:
        model: From `Localization.build`; left in evaluation mode.
        image: uint8 (h, w, 3) at the network's scale.
        size: (H, W) of the map, usually the image's native size.
    """
    model.eval()
    device = next(model.parameters()).device
    height, width = map(_strided, image.shape[:2])
    inputs = normalised(crop(image, Rectangle(0, 0, height, width))[None]).to(device)
    with fast_arithmetic(device):
        logits = model(inputs).float()
    logits = logits[..., : image.shape[0], : image.shape[1]]
    if logits.shape[-2:] != size:
        logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    result: np.ndarray = logits[0, 0].cpu().numpy()
    return result


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return binary cross-entropy plus the Dice loss, a scalar.

    Cross-entropy calibrates single pixels, Dice keeps a few defect pixels from drowning among
    many good ones. Dice is taken over the batch, so that windows without a defect are harmless.

    Args:
        logits: (B, 1, H, W).
        target: Share of a pixel covered by a defect, in [0, 1], (B, 1, H, W).
    """
    logits = logits.float()
    probabilities = logits.sigmoid()
    overlap = 2 * (probabilities * target).sum() + 1
    dice = 1 - overlap / (probabilities.sum() + target.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, target) + dice


def _strided(length: int) -> int:
    """The next multiple of the encoder's stride."""
    return math.ceil(length / STRIDE) * STRIDE
