from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from defectsynth_pipeline.features.encoder import normalised
from defectsynth_pipeline.inspection.localization import (
    Localization,
    score_maps,
    segmentation_loss,
    to_size,
)


@pytest.fixture(scope="module")
def localizer() -> nn.Module:
    torch.manual_seed(0)
    return Localization.build("resnet18", 1, "none")[0]


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_map_has_the_native_size_and_is_finite(localizer: nn.Module) -> None:
    scores = to_size(score_maps(localizer, image(40, 50)[None])[0], (80, 101))
    assert scores.shape == (80, 101)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_a_map_at_the_networks_size_is_the_networks_own(localizer: nn.Module) -> None:
    picture = image(64, 32)
    with torch.no_grad():
        expected = localizer.eval()(normalised(picture[None]))[0, 0]
    # Rounded to bfloat16 and summed in any order, maps differ by 1.5 % of their spread in the mean;
    # one that was resized on the way, by 17 %.
    difference = (score_maps(localizer, picture[None])[0] - expected).abs().mean()
    assert difference < 0.05 * expected.std()


def test_a_batch_of_images_has_the_maps_of_each(localizer: nn.Module) -> None:
    pictures = np.stack([image(40, 50), image(40, 50)[::-1]])
    together = score_maps(localizer, pictures)
    alone = torch.cat([score_maps(localizer, picture[None]) for picture in pictures])
    assert torch.allclose(together, alone, atol=1e-4)


def test_logits_are_not_rounded_to_bfloat16(localizer: nn.Module) -> None:
    scores = score_maps(localizer, image(64, 64)[None])
    assert not torch.equal(scores, scores.bfloat16().float())


def test_the_loss_is_small_only_where_the_defect_is_found() -> None:
    target = torch.zeros((2, 1, 16, 16))
    target[0, 0, 4:8, 4:8] = 1
    right = segmentation_loss((target * 2 - 1) * 12, target)
    blank = segmentation_loss(torch.full_like(target, -12), target)
    empty = segmentation_loss(torch.full_like(target, -12), torch.zeros_like(target))
    assert right < 0.01
    assert empty < 0.01
    assert blank > 0.9
