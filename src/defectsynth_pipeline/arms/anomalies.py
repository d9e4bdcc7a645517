"""Anomalies that need no defect: CutPaste and DRAEM. They know no types, so they only localize.

CutPaste (Li et al., CVPR 2021) pastes a patch or a scar of a normal image elsewhere on it. As in
the paper's 3-way task both kinds take turns: a patch of 2 to 15 % of the image with an aspect ratio
up to 3.3, and a scar of 2-16 x 10-25 px (on 256 px), turned by up to 45 degrees; colours are
jittered by 0.1.

DRAEM (Zavrtanik et al., ICCV 2021) fills a Perlin-shaped mask with another texture,
I_a = (1 - M) I + (1 - beta) M I + beta M A, beta in [0.1, 1]. The paper takes A from a texture data
set; here it is a procedural surface or another normal image, mirrored and recoloured, so that
nothing has to be downloaded. The Perlin lattice has equally many cells along both axes.
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
from defectsynth_pipeline.compact.scenes import surface
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.imaging.pixels import (
    crop,
    from_float,
    full_scale,
    resize,
    solid,
    to_float,
)
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.shape.render import perlin_noise

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
    return turned, solid(cover)


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
