"""What the base masks measure: where to interpolate (Sec. III-C), how many masks they give."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.schemas import own_columns
from defectsynth_pipeline.shape.branching import is_branching
from defectsynth_pipeline.shape.geometry import Measures, measure
from defectsynth_pipeline.shape.parents import base_types, load_masks


def area_ratio_table(samples: pd.DataFrame, options: MaskOptions) -> pd.DataFrame:
    """Measure the base masks of every defect type and choose where to interpolate them.

    Args:
        samples: The `samples` table; only rows with split "base" are read.
        options: tau, method and frames per pair.

    Returns:
        A row per (category, defect_type): n_masks, n_groups (parts that they show),
        mean/min/max_area_ratio (share of the image), stroke_width (median, native pixels), tau,
        space ("latent" from a mean ratio of tau on, else "image"; or the method, if it is no
        hybrid), mask_capacity (n(n-1)/2 x frames), branching.

    Raises:
        InputError: A mask is empty or cannot be read.
    """
    rows = []
    for (category, defect_type), group in base_types(samples):
        masks = list(load_masks(group).values())
        measures = [measure(mask) for mask in masks]
        ratios = [float(mask.mean()) for mask in masks]
        hybrid = "latent" if np.mean(ratios) >= options.tau else "image"
        rows.append(
            {
                "category": category,
                "defect_type": defect_type,
                "n_masks": len(masks),
                "n_groups": group["group"].nunique(),
                "mean_area_ratio": float(np.mean(ratios)),
                "min_area_ratio": min(ratios),
                "max_area_ratio": max(ratios),
                "stroke_width": float(np.median([measured.width for measured in measures])),
                "tau": options.tau,
                "space": hybrid if options.method == "hybrid" else options.method,
                "mask_capacity": mask_capacity(len(masks), options.frames_per_pair),
                "branching": is_branching(measures),
            }
        )
    return pd.DataFrame(rows, columns=own_columns("area_ratios"))


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
