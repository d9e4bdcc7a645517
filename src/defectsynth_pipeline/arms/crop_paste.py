"""Crop-Paste: a real defect cut out by its mask and pasted on a normal; the baseline to beat.

Both versions have the same donors, backgrounds and places, so that they differ in the matching
alone. The hard one is the classic; on parts of varying brightness it loses by its seam, and the
matched one is the fair comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.appearance.placement import RING, place_defect
from defectsynth_pipeline.arms.arm import Arm, Recipe, Types, draws, made_of, rng_of
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.base import base_ids, normal_ids
from defectsynth_pipeline.corpora.reading import Example, each_sample
from defectsynth_pipeline.imaging.motion import Motion, Patch, land
from defectsynth_pipeline.imaging.pixels import (
    as_pixels,
    feather,
    full_scale,
    in_values_of,
    ring,
    smooth_fill,
)

Array = np.ndarray
COLLAR = 2.0  # px of feather outside the mask
GAIN = (0.5, 2.0)  # how far brightness is matched
SMOOTH = 8.0  # px, least width of the brightness that is matched
_DARKEST = 0.02  # of full scale
_MARGIN = RING[1] + 2


class CropPaste(Arm):
    """Hard edge, the donor's own pixels."""

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`; donor, background and place are drawn."""
        pools, normals = base_ids(bank, category, types), normal_ids(bank, category)
        rows = bank.samples[bank.samples["category"] == category]
        by_id = {sample.sample_id: sample for sample in each_sample(rows)}
        backgrounds = [by_id[name] for name in normals]
        recipes = []
        for number, defect_type, donor in draws(pools, count, seed, "crop_paste"):
            rng = rng_of(seed, "crop_paste", number, defect_type)
            chosen, motion = place_defect(by_id[donor], backgrounds, rng)
            place = {"background": normals[chosen]} | asdict(motion)
            recipes.append(made_of(defect_type, donor, normals[chosen]) | place)
        return recipes

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        donor, normal = bank.example(recipe["source"]), bank.example(recipe["background"])
        patch = land(donor.image, donor.mask, Motion.of(recipe), normal.image, _MARGIN)
        window = patch.window.slices
        image, mask = normal.image.copy(), np.zeros(normal.mask.shape, dtype=bool)
        image[window] = as_pixels(self.blend(patch, normal.image), image)
        mask[window] = patch.inside
        return Example(image, mask)

    def blend(self, patch: Patch, background: Array) -> Array:
        """Return the window's new values (h, w, C) float64: the donor's in its mask."""
        ground = in_values_of(background[patch.window.slices], background)
        return np.where(patch.inside[..., None], patch.values, ground)


class CropPasteMatched(CropPaste):
    """Brightness scaled until the rings around source and target agree, and a feather of 2 px."""

    def blend(self, patch: Patch, background: Array) -> Array:
        """Return the window's new values (h, w, C) float64, per channel:

        ground + w * (gain * donor - ground), with w the feathered mask and gain the smooth
        brightness of the background's ring over that of the donor's, within [0.5, 2].
        """
        ground = in_values_of(background[patch.window.slices], background)
        around = ring(patch.inside, RING) & patch.known
        values = patch.values
        if around.any():
            values = values * _gain(values, ground, around, patch.inside, full_scale(background))
        weight = np.where(patch.known | patch.inside, feather(patch.inside, COLLAR), 0.0)
        return np.asarray(ground + weight[..., None] * (values - ground))


def _gain(donor: Array, ground: Array, around: Array, inside: Array, white: float) -> Array:
    """Return (h, w, C), the background's brightness over the donor's, from the ring inwards."""
    weight = around.astype(np.float64)
    sigma = max(SMOOTH, 2 + float(ndimage.distance_transform_edt(inside).max()))
    there, here = (smooth_fill(values, weight, sigma) for values in (ground, donor))
    least = _DARKEST * white
    return np.asarray(np.clip(np.maximum(there, least) / np.maximum(here, least), *GAIN))
