"""The localizer of the paper's Table IX: a U-Net with a ResNet encoder, one logit per pixel."""

from __future__ import annotations

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth_pipeline.inspection.arithmetic import fast_arithmetic
from defectsynth_pipeline.inspection.batches import STRIDE, normalised, padded
from defectsynth_pipeline.inspection.weights import load_imagenet

# Half the library's widths but for the last: on a CPU the decoder would else cost more than the
# encoder, and the encoder is what knows shapes.
DECODER_WIDTHS = (128, 64, 32, 16, 16)


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


def build_localizer(encoder: str, weights: str) -> tuple[nn.Module, str]:
    """Return a U-Net with one output channel, and where its encoder's weights come from.

    Random values come from torch's global generator: seed it first.

    Args:
        encoder: "resnet18" or "resnet34".
        weights: "auto", "none" or a file; see `weights.imagenet_state`.

    Raises:
        InputError: The weights cannot be used.
    """
    network = Localizer(
        encoder, encoder_weights=None, decoder_channels=DECODER_WIDTHS, in_channels=3, classes=1
    )
    origin = load_imagenet(network.encoder, encoder, weights)
    return network.to(memory_format=torch.channels_last), origin


@torch.no_grad()
def score_map(model: nn.Module, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the logits of a whole image, float32 (H, W).

    The image is reflected to a multiple of the encoder's stride, and what was added is cut off
    before the map is brought to its size bilinearly.

    Args:
        model: From `build_localizer`; left in evaluation mode.
        image: uint8 (h, w, 3) at the network's scale.
        size: (H, W) of the map, usually the image's native size.
    """
    model.eval()
    device = next(model.parameters()).device
    inputs = normalised(padded(image, STRIDE)[None]).to(device)
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
