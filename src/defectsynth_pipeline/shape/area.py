"""The area rule of Sec. III-C: large defects are interpolated in latent space, small in image."""

from __future__ import annotations

import numpy as np
import pandas as pd

from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.shape.branching import SLENDER
from defectsynth_pipeline.shape.capacity import mask_capacity
from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.parents import base_types, load_checked

COLUMNS = [
    "category",
    "defect_type",
    "n_masks",
    "mean_area_ratio",
    "min_area_ratio",
    "max_area_ratio",
    "stroke_width",
    "tau",
    "space",
    "mask_capacity",
    "branching",
]


def area_ratio_table(samples: pd.DataFrame, options: MaskOptions) -> pd.DataFrame:
    """Measure the base masks of every defect type and choose where to interpolate them.

    Args:
        samples: The `samples` table; only rows with split "base" are read.
        options: tau, method and frames per pair.

    Returns:
        A row per (category, defect_type): n_masks, mean/min/max_area_ratio (share of the image),
        stroke_width (median, native pixels), tau, space ("image", "latent", "perlin",
        "geometric"), mask_capacity (n(n-1)/2 x frames), branching.

    Raises:
        InputError: A mask is empty or cannot be read.
    """
    rows = []
    for (category, defect_type), group in base_types(samples):
        masks = [load_checked(row) for row in group.itertuples(index=False)]
        measures = [measure(mask) for mask in masks]
        ratios = [float(mask.mean()) for mask in masks]
        rows.append(
            {
                "category": category,
                "defect_type": defect_type,
                "n_masks": len(masks),
                "mean_area_ratio": float(np.mean(ratios)),
                "min_area_ratio": min(ratios),
                "max_area_ratio": max(ratios),
                "stroke_width": float(np.median([measured.width for measured in measures])),
                "tau": options.tau,
                "space": interpolation_space(float(np.mean(ratios)), options),
                "mask_capacity": mask_capacity(len(masks), options.frames_per_pair),
                "branching": bool(
                    np.median([measured.slenderness for measured in measures]) >= SLENDER
                ),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def interpolation_space(mean_area_ratio: float, options: MaskOptions) -> str:
    """ "latent" if the mean area ratio is at least tau, else "image"; other methods name it."""
    if options.method != "hybrid":
        return options.method
    return "latent" if mean_area_ratio >= options.tau else "image"
