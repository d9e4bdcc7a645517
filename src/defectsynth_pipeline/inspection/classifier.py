"""The classifier of the paper's Table VIII: ResNet-34 on the defect types of one category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torchvision.models import resnet34

from defectsynth_pipeline.inspection.batches import normalised
from defectsynth_pipeline.inspection.weights import load_imagenet


def build_classifier(n_types: int, weights: str) -> tuple[nn.Module, str]:
    """Return a ResNet-34 with `n_types` logits, and where its weights come from.

    Random values come from torch's global generator: seed it first.

    Args:
        n_types: Number of defect types.
        weights: "auto", "none" or a file; see `weights.imagenet_state`.

    Raises:
        InputError: The weights cannot be used.
    """
    network = resnet34(weights=None)
    origin = load_imagenet(network, "resnet34", weights)
    network.fc = nn.Linear(network.fc.in_features, n_types)
    return network.to(memory_format=torch.channels_last), origin  # type: ignore[call-overload]


@torch.no_grad()
def classify(model: nn.Module, images: Sequence[np.ndarray], batch_size: int = 64) -> np.ndarray:
    """Return the probabilities of the types, float32 (N, n_types), each row summing to 1.

    Args:
        model: From `build_classifier`; left in evaluation mode.
        images: N of uint8 (side, side, 3), as `views.make_view` makes them.
        batch_size: Images at a time.
    """
    model.eval()
    device = next(model.parameters()).device
    parts = [
        model(normalised(np.stack(images[i : i + batch_size])).to(device)).float().softmax(1)
        for i in range(0, len(images), batch_size)
    ]
    result: np.ndarray = torch.cat(parts).cpu().numpy()
    return result
