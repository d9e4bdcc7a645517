"""Score maps on a fixed scale of levels, and their histograms."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

LEVELS = 65536
COARSE = 1024
RANGE = 16.0


def quantise(logits: np.ndarray) -> np.ndarray:
    """Bring logits of any shape to 65536 even levels over [-16, 16], clipped, as uint16.

    A level is 1/2048 wide, and logit 0 (probability 0.5) is the lower edge of level 32768, so
    `level >= 32768` and `logit >= 0` hold for the same values.
    """
    wide = np.asarray(logits, dtype=np.result_type(logits, np.float32))
    half = LEVELS // 2
    # The factor is a power of two, hence exact; adding 16 first would round -1e-9 up to 0.
    steps = np.floor(wide * np.float32(half / RANGE))
    return np.asarray(np.clip(steps, -half, half - 1) + half, dtype=np.uint16)


def image_score(logits: np.ndarray) -> float:
    """Score of a whole image: the highest mean of 3x3 logits (H, W), edges repeated."""
    wide = np.pad(np.asarray(logits, dtype=float), 1, mode="edge")
    # Sums of slices, not a running sum: equal neighbourhoods must score equal to the last bit.
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    return float((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]).max() / 9)


def region_weights(mask: np.ndarray) -> np.ndarray:
    """Weigh the defect pixels so that every region counts as one, whatever its size.

    Args:
        mask: (H, W) bool.

    Returns:
        float64 (n,), one weight per defect pixel in raster order: 1 / area of its 8-connected
        region. The weights sum to the number of regions.
    """
    regions, _ = ndimage.label(mask, structure=np.ones((3, 3), dtype=int))
    owners = regions[mask]
    areas = np.bincount(owners, minlength=1)
    return np.asarray(1.0 / areas[owners], dtype=float)


def pixel_histograms(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Count the pixels of one image on the levels of `quantise`.

    Args:
        logits: (H, W) float.
        mask: (H, W) bool.

    Returns:
        float64 (3, LEVELS): defect pixels, negatives, and defect pixels weighed by
        `region_weights`.
    """
    levels = quantise(logits)
    defect = levels[mask]
    weighed = np.bincount(defect, weights=region_weights(mask), minlength=LEVELS)
    counts = [np.bincount(part, minlength=LEVELS) for part in (defect, levels[~mask])]
    return np.stack([*counts, weighed]).astype(float)


def coarse_histograms(counts: np.ndarray) -> np.ndarray:
    """Sum `pixel_histograms` (3, LEVELS) up to float32 (3, COARSE); logit 0 stays an edge."""
    return np.asarray(counts.reshape(3, COARSE, -1).sum(axis=2), dtype=np.float32)
