"""Localization of defects (the paper's Table IX): a U-Net, a logit per pixel.

It is trained on windows and tested on whole images at their native size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice

import numpy as np
import pandas as pd
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth_pipeline.features.encoder import normalised
from defectsynth_pipeline.features.weights import LITE0, TIMM_NAME, load_imagenet
from defectsynth_pipeline.imaging.pixels import crop
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.inspection import normals_only
from defectsynth_pipeline.inspection.batches import Shown, localization_batch
from defectsynth_pipeline.inspection.task import Fitted, Fitting, Task
from defectsynth_pipeline.inspection.test_set import TestImage, TestSet
from defectsynth_pipeline.inspection.training import Batches, History, fast_arithmetic
from defectsynth_pipeline.measures.detection import LocalizationStats
from defectsynth_pipeline.options import LocalizationOptions

# Half the library's widths but for the last: on a CPU the decoder would else cost more than the
# encoder, and the encoder is what knows shapes.
DECODER_WIDTHS = (128, 64, 32, 16, 16)
STRIDE = 32  # of the encoders
BATCH_PIXELS = 1 << 19  # tested at a time


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

    def __init__(self, options: LocalizationOptions, network: str, types: Sequence[str]) -> None:
        super().__init__(options, network, types)
        self.patch = options.patch

    @staticmethod
    def build(network: str, n_types: int, weights: str) -> tuple[nn.Module, str]:
        """Return a U-Net with one output channel, whatever the number of types."""
        if network == normals_only.NETWORK:
            return normals_only.MemoryDetector(), normals_only.ORIGIN
        encoder = f"tu-{TIMM_NAME}" if network == LITE0 else network
        model = Localizer(
            encoder, encoder_weights=None, decoder_channels=DECODER_WIDTHS, in_channels=3, classes=1
        )
        # The library wraps timm's networks once more.
        wrapped = model.encoder.model if network == LITE0 else model.encoder
        origin = load_imagenet(wrapped, network, weights)
        return model.to(memory_format=torch.channels_last), origin

    @staticmethod
    def encoder(model: nn.Module) -> nn.Module:
        """Return the U-Net's encoder."""
        return model.get_submodule("encoder")

    def fit(self, fitting: Fitting) -> Fitted:
        """As `Task.fit`; a memory is filled with the set's good images instead."""
        if self.network != normals_only.NETWORK:
            return super().fit(fitting)
        began = time.monotonic()
        detector = normals_only.fit_memory(fitting.shown.views, fitting.seed)
        return Fitted(detector, normals_only.ORIGIN, History(seconds=time.monotonic() - began))

    def batches(self, shown: Shown, rows: pd.DataFrame, seed: int) -> Batches:
        """Return windows and their cover; without `patch`, windows that hold every image."""
        height, width = np.max([view.cover.shape for view in shown.views], axis=0)
        window = (_strided(height), _strided(width))
        if self.patch:
            window = (self.patch, self.patch)
        return partial(localization_batch, shown, window, self.training.batch_size, seed)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return cross-entropy plus Dice."""
        return segmentation_loss(outputs, targets)

    def evaluate(
        self, model: nn.Module, tests: TestSet, overlays: Collection[str]
    ) -> tuple[LocalizationStats, dict[str, np.ndarray]]:
        """Stream the score maps of all images, at native size, into the statistics."""
        stats, maps = LocalizationStats(), {}
        for batch in _alike(tests.images()):
            logits_of = score_maps(model, np.stack([test.image for test in batch]))
            for test, logits in zip(batch, logits_of, strict=True):
                own = to_size(logits, test.mask.shape)
                stats.update(test.sample_id, test.group, test.defect_type, own, test.mask)
                if test.sample_id in overlays:
                    levels = 255 / (1 + np.exp(-own.clip(-30, 30)))
                    maps[test.sample_id] = np.rint(levels).astype(np.uint8)
        return stats, maps

    def metrics(self, result: LocalizationStats) -> dict[str, float]:
        """Return the metrics over all types; `score` is the mean over types of pixel AP."""
        of_types = [result.metrics(name)["pixel_ap"] for name in result.defect_types]
        return result.metrics() | {"score": float(np.mean(of_types))}


def _alike(images: Iterable[TestImage]) -> Iterator[list[TestImage]]:
    """Gather neighbours of one size into batches of at most `BATCH_PIXELS`."""
    for shape, alike in groupby(images, lambda test: test.image.shape):
        most = max(1, BATCH_PIXELS // (shape[0] * shape[1]))
        while batch := list(islice(alike, most)):
            yield batch


@torch.no_grad()
def score_maps(model: nn.Module, images: np.ndarray) -> Tensor:
    """Return the logits of whole images, float32 (B, h, w) on the CPU.

    The images are reflected to a multiple of the encoder's stride; what was added is cut off.

    Args:
        model: From `Localization.build`; left in evaluation mode.
        images: uint8 (B, h, w, 3) at the network's scale.
    """
    model.eval()
    device = next(model.parameters()).device
    height, width = images.shape[1:3]
    window = Rectangle(0, 0, _strided(height), _strided(width))
    inputs = normalised(np.stack([crop(image, window) for image in images])).to(device)
    with fast_arithmetic(device):
        logits = model(inputs).float()
    return logits[:, 0, :height, :width].cpu()  # type: ignore[no-any-return]


def to_size(logits: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Bring a map (h, w) bilinearly to its image's native size, float32 (H, W)."""
    if logits.shape != size:
        wide = F.interpolate(logits[None, None], size, mode="bilinear", align_corners=False)
        logits = wide[0, 0]
    return np.asarray(logits.numpy())


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
