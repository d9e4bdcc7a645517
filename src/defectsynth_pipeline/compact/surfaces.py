"""Procedural surfaces, the ground on which the compact base model is pretrained.

Nothing here is taken from a photograph, so the shipped weights carry no third-party terms.
The demo corpora are drawn by other code (`demo/`): the base must not know its exam.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

Array = np.ndarray
SIDE = 64  # pixels; the base model's own resolution


def field(rng: np.random.Generator, sigma: float | tuple[float, float]) -> Array:
    """Return smooth noise (64, 64) with zero mean, unit deviation and correlation `sigma` px."""
    noise = ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), sigma, mode="wrap")
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def _grid(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return coordinates (64, 64) in a randomly rotated frame, in pixels from the centre."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    angle = rng.uniform(0, np.pi)
    return y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)


def _plain(rng: np.random.Generator) -> Array:
    return 0.03 * field(rng, 8) + rng.uniform(0.003, 0.03) * field(rng, rng.uniform(0.3, 1))


def _brushed(rng: np.random.Generator) -> Array:
    streaks = field(rng, (rng.uniform(0.3, 0.9), rng.uniform(6, 20)))
    turned = ndimage.rotate(np.tile(streaks, (2, 2)), rng.uniform(0, 180), reshape=False, order=1)
    return rng.uniform(0.02, 0.09) * turned[SIDE // 2 : -SIDE // 2, SIDE // 2 : -SIDE // 2]


def _granular(rng: np.random.Generator) -> Array:
    coarse = field(rng, rng.uniform(1.2, 3))
    return rng.uniform(0.03, 0.10) * (coarse + 0.7 * field(rng, 0.5))


def _speckled(rng: np.random.Generator) -> Array:
    grains = field(rng, rng.uniform(0.8, 2)) > rng.uniform(1, 2)
    return rng.choice([-1, 1]) * rng.uniform(0.1, 0.3) * ndimage.gaussian_filter(
        grains.astype(float), 0.6
    ) + 0.03 * field(rng, 0.6)


def _woven(rng: np.random.Generator) -> Array:
    v, u = _grid(rng)
    period, wobble = rng.uniform(4, 12), 0.4 * field(rng, 5)
    warp, weft = np.sin(2 * np.pi * v / period + wobble), np.sin(2 * np.pi * u / period + wobble)
    return rng.uniform(0.03, 0.12) * (warp * weft if rng.random() < 0.5 else np.maximum(warp, weft))


def _grained(rng: np.random.Generator) -> Array:
    v, u = _grid(rng)
    rings = np.sin(2 * np.pi * v / rng.uniform(5, 16) + rng.uniform(0.5, 2) * field(rng, (6, 6)))
    return rng.uniform(0.02, 0.07) * rings + 0.02 * field(rng, 0.7) + 0.0005 * u


def _welded(rng: np.random.Generator) -> Array:
    v, _ = _grid(rng)
    bead = np.exp(-(((v - rng.uniform(-12, 12)) / rng.uniform(8, 22)) ** 2))
    ripple = np.sin(v / rng.uniform(2, 5) + field(rng, 6))
    return rng.uniform(-0.25, 0.25) * bead + 0.02 * bead * ripple + 0.012 * field(rng, 0.6)


def _edged(rng: np.random.Generator) -> Array:
    v, u = _grid(rng)
    offset, bend = rng.uniform(-20, 20), rng.uniform(-0.012, 0.012)
    side = 1 / (1 + np.exp(-(v - offset - bend * u**2) / rng.uniform(0.4, 2)))
    ridges = np.sin(2 * np.pi * u / rng.uniform(5, 14)) * rng.uniform(0, 0.15)
    return rng.uniform(-0.4, 0.4) * side + ridges * side + 0.02 * field(rng, 0.7)


SURFACES: dict[str, Callable[[np.random.Generator], Array]] = {
    "plain": _plain,
    "brushed metal": _brushed,
    "concrete": _granular,
    "speckled": _speckled,
    "woven fabric": _woven,
    "wood": _grained,
    "weld": _welded,
    "machined edge": _edged,
}


def surface(rng: np.random.Generator) -> tuple[Array, str]:
    """Return a defect-free surface (64, 64, 3) in [0, 1] and its name."""
    name = list(SURFACES)[rng.integers(len(SURFACES))]
    relief = SURFACES[name](rng)
    if rng.random() < 0.25:  # parts: two reliefs share an image
        relief = relief + 0.5 * _edged(rng)
    v, u = _grid(rng)
    light = 1 + rng.uniform(-0.004, 0.004) * v - rng.uniform(0, 0.00012) * (u**2 + v**2)
    grey = rng.random() < 0.5
    base = np.full(3, rng.uniform(0.12, 0.88)) + (0 if grey else rng.normal(0, 0.09, 3))
    tint = np.ones(3) if grey else rng.uniform(0.7, 1.3, 3)
    image = (base + relief[..., None] * tint) * light[..., None]
    return np.clip(image + rng.normal(0, 0.006, image.shape), 0, 1), name
