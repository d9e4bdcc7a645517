"""Connected defect regions and how much of each is found."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

EIGHT = np.ones((3, 3), dtype=int)


def region_weights(mask: np.ndarray) -> np.ndarray:
    """Weigh the defect pixels so that every region counts as one, whatever its size.

    Args:
        mask: (H, W) bool.

    Returns:
        float64 (n,), one weight per defect pixel in raster order: 1 / area of its 8-connected
        region. The weights sum to the number of regions.
    """
    regions, _ = ndimage.label(mask, structure=EIGHT)
    owners = regions[mask]
    areas = np.bincount(owners, minlength=1)
    return np.asarray(1.0 / areas[owners], dtype=float)
