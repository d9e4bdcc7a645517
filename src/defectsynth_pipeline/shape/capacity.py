"""How many different masks a handful of real ones can give, and whether they are different."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from defectsynth_pipeline.shape.geometry import Measures


def mask_capacity(masks: int, frames: int) -> int:
    """Most masks that interpolation can give: every pair of base masks, `frames` each."""
    return masks * (masks - 1) // 2 * frames


def distinct_frames(first: Measures, second: Measures, frames: int) -> int:
    """How many frames between two masks are sure to differ on the pixel grid, at least 1.

    Two frames differ when position or area moves by a pixel between them; for specks at one place
    ten frames would be ten times the same mask.
    """
    moved = max(abs(a - b) for a, b in zip(first.centroid, second.centroid, strict=True))
    steps = max(moved, abs(first.area - second.area))
    return int(np.clip(int(steps), 1, frames))


def count_distinct(masks: Iterable[np.ndarray]) -> int:
    """Number of pairwise different masks (H, W) of bool."""
    return len({(mask.shape, np.packbits(mask).tobytes()) for mask in masks})
