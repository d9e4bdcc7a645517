"""Whether a defect can be seen: a mask whose defect is invisible is a wrong label."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import ndimage

from defectsynth_pipeline.appearance.compose import smooth_fill
from defectsynth_pipeline.corpora.reading import load_image, load_mask, to_float


def contrast(image: np.ndarray, mask: np.ndarray) -> float:
    """Return how much the masked part differs from what surrounds it.

    Args:
        image: (H, W, 3) in [0, 1].
        mask: (H, W) bool, not empty.

    Returns:
        Mean absolute difference inside the mask to a smooth continuation of the surroundings,
        in [0, 1], of the channel where it is largest.
    """
    rows, columns = np.nonzero(mask)
    reach = 12
    window = (
        slice(max(rows.min() - reach, 0), rows.max() + reach + 1),
        slice(max(columns.min() - reach, 0), columns.max() + reach + 1),
    )
    part, inside = image[window].astype(np.float64), mask[window]
    outside = ndimage.distance_transform_edt(~inside) > 2
    if not outside.any():
        return 0.0
    depth = float(ndimage.distance_transform_edt(inside).max())
    around = smooth_fill(part, outside.astype(np.float64), 2.0 + depth)
    return float(np.abs(part - around)[inside].mean(0).max())


def faintest_visible(samples: pd.DataFrame, quantile: float = 0.1) -> dict[str, float]:
    """Return, per "category/defect_type", the contrast of the faintest real base defects."""
    values: dict[str, list[float]] = {}
    for row in samples[samples["split"] == "base"].itertuples():
        key = f"{row.category}/{row.defect_type}"
        values.setdefault(key, []).append(contrast(to_float(load_image(row)), load_mask(row)))
    return {key: float(np.quantile(v, quantile)) for key, v in values.items()}
