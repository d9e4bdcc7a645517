"""How much a defect differs from what surrounds it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from categories import blob
from defectsynth_pipeline.appearance.compose import contrast, faintest_visible


def scene(depth: float) -> tuple[np.ndarray, np.ndarray]:
    """A slanted surface with a spot darker by `depth`."""
    mask = blob(3)
    slope = np.linspace(0.4, 0.7, mask.shape[1])[None, :, None].repeat(3, 2)
    image = np.broadcast_to(slope, (*mask.shape, 3)).copy()
    image[mask] -= depth
    return image, mask


@pytest.mark.parametrize("depth", [0.0, 0.05, 0.3])
def test_contrast_is_the_depth_of_a_spot(depth: float) -> None:
    assert contrast(*scene(depth)) == pytest.approx(depth, abs=0.02)


def test_the_channel_with_most_contrast_counts() -> None:
    image, mask = scene(0.0)
    image[..., 1][mask] += 0.2
    assert contrast(image, mask) == pytest.approx(0.2, abs=0.02)


def test_bright_counts_as_dark() -> None:
    assert contrast(*scene(-0.2)) == pytest.approx(0.2, abs=0.02)


def test_a_mask_without_surroundings_has_no_contrast() -> None:
    assert contrast(np.random.default_rng(0).random((20, 20, 3)), np.ones((20, 20), bool)) == 0


def test_masks_at_the_border() -> None:
    image, mask = np.full((30, 30, 3), 0.5), np.zeros((30, 30), bool)
    mask[:3, :4] = True
    image[mask] = 0.1
    assert contrast(image, mask) == pytest.approx(0.4, abs=0.02)


def test_the_faintest_real_defect_of_each_type(samples: pd.DataFrame) -> None:
    faintest = faintest_visible(samples)
    assert set(faintest) == {"plate/dent", "plate/scratch"}
    assert all(0.15 < value < 0.6 for value in faintest.values())
    least, most = (faintest_visible(samples, quantile)["plate/dent"] for quantile in (0.0, 1.0))
    assert least < faintest["plate/dent"] < most
