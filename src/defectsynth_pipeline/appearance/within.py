"""A defect's place, kept within the zones that the user has drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.corpora.zones import allowed_on, nearest_place
from defectsynth_pipeline.imaging.motion import Motion

_SHIFTS = 4  # one may bring in what lay outside the frame


def into_zones(
    motion: Motion, background: Sample, land: Callable[[Motion], np.ndarray]
) -> Motion | None:
    """Return the motion, shifted by as little as brings the mask into its category's zones.

    Args:
        motion: Of the mask onto the background.
        background: A sample; where its category has no zones, nothing changes.
        land: Gives of a motion the mask on the background, (H, W) bool.

    Returns:
        None if the mask fits nowhere.
    """
    allowed = allowed_on(background)
    if allowed is None:
        return motion
    for _ in range(_SHIFTS):
        placed = land(motion)
        shift = nearest_place(placed, allowed) if placed.any() else None
        if shift is None:
            return None
        if shift == (0, 0):
            return motion
        motion = replace(motion, dy=motion.dy + shift[0], dx=motion.dx + shift[1])
    return None
