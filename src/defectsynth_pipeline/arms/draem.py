"""DRAEM's anomalies (Zavrtanik et al., ICCV 2021): Perlin-shaped masks filled with another texture.

I_a = (1 - M) I + (1 - beta) M I + beta M A, beta in [0.1, 1]. The paper takes A from a texture
data set; here it is a procedural surface or another normal image, mirrored and recoloured, so that
nothing has to be downloaded. The Perlin lattice has equally many cells along both axes. It knows
no defect types, so it is for localization only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.arms.arm import Arm, Recipe, Types, made_of, pick, rng_of
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.base import normal_ids
from defectsynth_pipeline.arms.cutpaste import ANOMALY
from defectsynth_pipeline.compact.scenes import surface
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.imaging.pixels import crop, from_float, resize, to_float
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.shape.render import perlin_noise

OPACITY = (0.1, 1.0)
CELLS = (1, 5)  # powers of two
THRESHOLD = 0.5  # of noise in [-1, 1]
FEWEST = 0.002  # share of the image a mask covers at least
_SIDE = 192  # px of the longer side at which noise is drawn
_TURNED = 1.42  # of a side, what a turned square needs


class Draem(Arm):
    """Normals with a foreign texture in a random shape."""

    tasks = ("localization",)

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`; types are not used."""
        normals, recipes = normal_ids(bank, category), []
        for number in range(count):
            normal = pick(normals, number, seed, "draem")
            rng = rng_of(seed, "draem", number)
            others = [name for name in normals if name != normal]
            texture = [others[int(rng.integers(len(others)))]] if others and number % 2 else []
            drawn = {
                "texture": "".join(texture),
                "cells": 2 ** int(rng.integers(CELLS[0], CELLS[1] + 1)),
                "angle": float(rng.uniform(-90, 90)),
                "opacity": float(rng.uniform(*OPACITY)),
                "seed": int(rng.integers(1 << 62)),
            }
            recipes.append(made_of(ANOMALY, normal, *texture) | drawn)
        return recipes

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        normal = bank.example(recipe["source"])
        rng = np.random.default_rng(recipe["seed"])
        shape = normal.mask.shape
        mask = _mask(rng, shape, recipe["cells"], recipe["angle"])
        other = bank.example(recipe["texture"]).image if recipe["texture"] else None
        texture = _texture(rng, shape, other)
        image = normal.image.copy()
        values = to_float(normal.image)
        blended = values + recipe["opacity"] * (texture - values)
        image[mask] = from_float(blended, normal.image)[mask]
        return Example(image, mask)


def _mask(rng: np.random.Generator, shape: tuple[int, ...], cells: int, angle: float) -> np.ndarray:
    """Turned Perlin noise above 0.5, or its highest places where nothing is that high."""
    scale = min(1.0, _SIDE / max(shape))
    size = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    canvas = math.ceil(_TURNED * max(size))
    noise = perlin_noise(rng, (canvas, canvas), math.ceil(_TURNED * cells)) * np.sqrt(2)
    noise = ndimage.rotate(noise, angle, reshape=False, order=1, mode="reflect")
    top, left = ((canvas - side) // 2 for side in size)
    fitted = resize(noise[top : top + size[0], left : left + size[1]], (shape[0], shape[1]))
    return np.asarray(fitted > min(THRESHOLD, float(np.quantile(fitted, 1 - FEWEST))))


def _texture(
    rng: np.random.Generator, shape: tuple[int, ...], other: np.ndarray | None
) -> np.ndarray:
    """Return (H, W, 3) in [0, 1]: mirrored and recoloured, so that it is foreign to the surface."""
    if other is None:
        small, _ = surface(rng)
        factor = max(1.0, max(shape) / 256)
        tile = resize(small, (round(64 * factor), round(64 * factor)))
        texture = crop(tile, Rectangle(0, 0, shape[0], shape[1]))
    else:
        texture = resize(to_float(other), (shape[0], shape[1]))
        texture = np.roll(texture, rng.integers(0, shape[0], 2), axis=(0, 1))
    texture = texture[:: -1 if rng.random() < 0.5 else 1, :: -1 if rng.random() < 0.5 else 1]
    gain, shift = rng.uniform(0.6, 1.4, 3), rng.uniform(-0.2, 0.2)
    changed = np.clip(texture * gain + shift, 0, 1)
    return np.asarray(1 - changed if rng.random() < 0.2 else changed, dtype=np.float32)
