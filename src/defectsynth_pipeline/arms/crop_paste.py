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

from defectsynth_pipeline.appearance.paste import pasted
from defectsynth_pipeline.appearance.placement import place_defect
from defectsynth_pipeline.arms.arm import Arm, Recipe, Types, draws, made_of, rng_of
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.base import base_ids, normal_ids
from defectsynth_pipeline.corpora.reading import Example, each_sample
from defectsynth_pipeline.imaging.motion import Motion, land, landed_mask
from defectsynth_pipeline.imaging.pixels import as_pixels, in_values_of

Array = np.ndarray


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
        motion = Motion.of(recipe)
        image = self.paste(donor, motion, normal.image)
        return Example(image, landed_mask(donor.mask, motion, image.shape))

    def paste(self, donor: Example, motion: Motion, background: Array) -> Array:
        """Return the background with the donor's pixels in its mask."""
        patch, image = land(donor.image, donor.mask, motion, background, 0), background.copy()
        ground = in_values_of(background[patch.window.slices], background)
        values = np.where(patch.inside[..., None], patch.values, ground)
        image[patch.window.slices] = as_pixels(values, image)
        return image


class CropPasteMatched(CropPaste):
    """Brightness scaled until the rings around source and target agree, and a feather of 2 px."""

    def paste(self, donor: Example, motion: Motion, background: Array) -> Array:
        """Return the background with the donor's defect, see `paste.pasted`."""
        return pasted(donor.image, donor.mask, motion, background)
