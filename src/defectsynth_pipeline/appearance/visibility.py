"""Whether a defect can be seen: a mask whose defect is invisible is a wrong label."""

from __future__ import annotations

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.imaging.surroundings import continued
from defectsynth_pipeline.imaging.values import to_float

_REACH = 12  # px around a defect that are looked at


def contrast(image: np.ndarray, mask: np.ndarray) -> float:
    """Return how much the masked part differs from what surrounds it.

    Args:
        image: (H, W, 3) in [0, 1].
        mask: (H, W) bool, not empty.

    Returns:
        Mean absolute difference inside the mask to a smooth continuation of the surroundings,
        in [0, 1], of the channel where it is largest.
    """
    window = Rectangle.around(mask, _REACH).slices
    part, inside = image[window].astype(np.float64), mask[window]
    return float(np.abs(part - continued(part, inside))[inside].mean(0).max())


def faintest_visible(samples: pd.DataFrame, quantile: float = 0.1) -> dict[str, float]:
    """Return, per "category/defect_type", the contrast of the faintest real base defects."""
    values: dict[str, list[float]] = {}
    for sample in each_sample(samples[samples["split"] == "base"]):
        key = f"{sample.category}/{sample.defect_type}"
        values.setdefault(key, []).append(contrast(to_float(sample.image()), sample.mask()))
    return {key: float(np.quantile(v, quantile)) for key, v in values.items()}
