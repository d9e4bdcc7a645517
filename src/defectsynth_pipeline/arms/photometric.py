"""Photometric augmentation: a real base image under other light, focus and sensor noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.base import base_ids
from defectsynth_pipeline.arms.drawing import pick, rng_of, turn
from defectsynth_pipeline.arms.example import Example
from defectsynth_pipeline.corpora.reading import full_scale

GAIN = 1.25
GAMMA = 1.25
CONTRAST = 1.2
TINT = 1.05  # per channel
BLUR = 1.0  # px, in a third of the images
NOISE = 0.02  # of full scale


class Photometric(Arm):
    """Brightness, contrast, gamma, tint, blur and noise; the mask stays."""

    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """As `Arm.plan`."""
        pools = base_ids(bank, category, types)
        recipes = []
        for number in range(count):
            defect_type, rounds = turn(types, number)
            sample = pick(pools[defect_type], rounds, seed, "photometric", defect_type)
            rng = rng_of(seed, "photometric", number)
            recipe = {"defect_type": defect_type, "source": sample, "sources": [sample]}
            recipes.append(recipe | _light(rng))
        return recipes

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        real = bank.example(recipe["source"])
        white = full_scale(real.image)
        values = real.image.astype(np.float32) / white
        mean = values.mean(dtype=np.float64)
        values = (values - mean) * recipe["contrast"] + mean
        values = np.clip(values * recipe["gain"], 0, 1) ** recipe["gamma"]
        if values.ndim == 3:
            values = values * np.array(recipe["tint"], dtype=np.float32)
        if recipe["blur"] > 0:
            sigma = (recipe["blur"], recipe["blur"], 0.0)[: values.ndim]
            values = ndimage.gaussian_filter(values, sigma)
        rng = np.random.default_rng(recipe["noise_seed"])
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        values = values + recipe["noise"] * noise
        pixels = np.rint(np.clip(values, 0, 1) * white).astype(real.image.dtype)
        return Example(pixels, real.mask)


def _light(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "gain": float(GAIN ** rng.uniform(-1, 1)),
        "gamma": float(GAMMA ** rng.uniform(-1, 1)),
        "contrast": float(CONTRAST ** rng.uniform(-1, 1)),
        "tint": [float(TINT ** rng.uniform(-1, 1)) for _ in range(3)],
        "blur": float(rng.uniform(0.3, BLUR)) if rng.random() < 1 / 3 else 0.0,
        "noise": float(rng.uniform(0, NOISE)),
        "noise_seed": int(rng.integers(1 << 62)),
    }
