"""CutPaste (Li et al., CVPR 2021): a patch or a scar of a normal image, pasted elsewhere on it.

As in the paper's 3-way task both kinds take turns: a patch of 2 to 15 % of the image with an
aspect ratio up to 3.3, and a scar of 2-16 x 10-25 px (on 256 px), turned by up to 45 degrees;
colours are jittered by 0.1. It knows no defect types, so it is for localization only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.arms.arm import Arm, Recipe, Types, made_of, pick, rng_of
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.base import normal_ids
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.imaging.pixels import full_scale
from defectsynth_pipeline.imaging.rectangle import Rectangle

AREA = (0.02, 0.15)
ASPECT = 3.3
SCAR_WIDTH, SCAR_LENGTH, SCAR_SIDE = (2, 16), (10, 25), 256
JITTER = 0.1
ANOMALY = "anomaly"
_TRIES = 10


class CutPaste(Arm):
    """Normals with a piece of themselves in the wrong place."""

    tasks = ("localization",)

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`; types are not used."""
        normals, recipes = normal_ids(bank, category), []
        for number in range(count):
            normal = pick(normals, number, seed, "cutpaste")
            rng, shape = rng_of(seed, "cutpaste", number), bank.sample(normal).shape
            recipes.append(made_of(ANOMALY, normal) | _cut(rng, shape, scar=number % 2 == 1))
        return recipes

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`; the mask is what was pasted."""
        normal = bank.example(recipe["source"]).image
        (height, width), (y, x) = recipe["size"], recipe["from"]
        image = np.atleast_3d(normal.astype(np.float64))
        piece = image[y : y + height, x : x + width]
        mean = piece.mean((0, 1))
        gain = np.array(recipe["gain"][: image.shape[2]])
        piece = ((piece - mean) * recipe["contrast"] + mean) * gain
        piece, cover = _turned(piece, recipe["angle"])
        top, left = (  # of the piece with its middle at the goal, moved into the image
            min(max(0, round(goal + size / 2 - turned / 2)), max(0, side - turned))
            for goal, size, turned, side in zip(
                recipe["to"], recipe["size"], cover.shape, normal.shape[:2], strict=True
            )
        )
        place = Rectangle.at(left, top, cover.shape[1], cover.shape[0])
        window, part = place.shared(normal.shape)
        mask = np.zeros(normal.shape[:2], dtype=bool)
        mask[window] = cover[part]
        image[mask] = piece[part][cover[part]]
        pixels = np.rint(np.clip(image, 0, full_scale(normal))).astype(normal.dtype)
        return Example(pixels.reshape(normal.shape), mask)


def _cut(rng: np.random.Generator, shape: tuple[int, int], *, scar: bool) -> dict[str, Any]:
    """Draw size, origin, goal, turn and jitter of a piece; the goal is not where it came from."""
    if scar:
        unit = min(shape) / SCAR_SIDE
        size = [rng.uniform(*SCAR_LENGTH) * unit, rng.uniform(*SCAR_WIDTH) * unit]
    else:
        ratio = ASPECT ** rng.uniform(-1, 1)
        area = rng.uniform(*AREA) * shape[0] * shape[1]
        size = [np.sqrt(area * ratio), np.sqrt(area / ratio)]
    height, width = (int(np.clip(round(s), 1, n)) for s, n in zip(size, shape, strict=True))
    room = np.array([shape[0] - height, shape[1] - width])
    start = goal = rng.integers(0, room + 1)
    for _ in range(_TRIES):
        goal = rng.integers(0, room + 1)
        if (np.abs(goal - start) * 2 >= (height, width)).any():
            break
    return {
        "size": [height, width],
        "from": [int(v) for v in start],
        "to": [int(v) for v in goal],
        "angle": float(rng.uniform(-45, 45)) if scar else 0.0,
        "gain": [float(rng.uniform(1 - JITTER, 1 + JITTER)) for _ in range(3)],
        "contrast": float(rng.uniform(1 - JITTER, 1 + JITTER)),
    }


def _turned(piece: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a piece (h, w, C) turned by degrees, and (h, w) bool, where it is."""
    cover = np.ones(piece.shape[:2])
    if angle == 0:
        return piece, cover > 0
    turned = ndimage.rotate(np.pad(piece, [(1, 1), (1, 1), (0, 0)], "edge"), angle, order=1)
    cover = ndimage.rotate(np.pad(cover, 1), angle, order=1)
    solid = cover >= 0.5
    return turned, solid if solid.any() else cover > 0
