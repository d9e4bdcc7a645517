"""Procedural scenes, on which the compact base model is pretrained.

Each defect takes a surface and returns the defective image and its exact mask. Nothing here is
taken from a photograph, so the shipped weights carry no third-party terms. The demo corpora are
drawn by other code (`demo/`): the base must not know its exam.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Scene:
    """One procedural sample: image (64, 64, 3) float in [0, 1], mask (64, 64) bool, caption."""

    image: Array
    mask: Array
    caption: str


Defect = Callable[[np.random.Generator, Array], tuple[Array, Array]]


def _blob(rng: np.random.Generator, radius: float, stretch: float = 1.0) -> Array:
    """Return a filled irregular shape (64, 64) bool around a random place."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    margin = min(radius, 20)
    cy, cx = rng.uniform(margin, SIDE - margin, 2)
    angle = rng.uniform(0, np.pi)
    v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    u = (y - cy) * np.sin(angle) + (x - cx) * np.cos(angle)
    distance = np.hypot(v * stretch, u / stretch)
    wobble = rng.uniform(0.05, 0.35) * radius * field(rng, max(1.5, radius / 2))
    mask: Array = distance + wobble < radius
    return mask if mask.any() else distance <= max(distance.min(), 1.0)


def _path(rng: np.random.Generator, length: float, turn: float) -> Array:
    """Return a wandering line as points (n, 2), one pixel apart."""
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, turn, max(int(length), 2)))
    steps = np.stack([np.sin(heading), np.cos(heading)], 1)
    points = np.cumsum(steps, 0)
    return points - points.mean(0) + rng.uniform(SIDE * 0.2, SIDE * 0.8, 2)


def _strokes(paths: list[Array], width: float) -> Array:
    """Return coverage (64, 64) in [0, 1] of lines `width` px wide, drawn at 3x and averaged."""
    canvas = np.ones((3 * SIDE, 3 * SIDE), bool)
    for path in paths:
        rows, columns = np.round((path.repeat(4, 0) + 0.5) * 3).astype(int).T
        inside = (rows >= 0) & (columns >= 0) & (rows < 3 * SIDE) & (columns < 3 * SIDE)
        canvas[rows[inside], columns[inside]] = False
    near = ndimage.distance_transform_edt(canvas) <= 1.5 * width
    return near.reshape(SIDE, 3, SIDE, 3).mean((1, 3))


def _blend(image: Array, cover: Array, colour: Array | float) -> Array:
    return image * (1 - cover[..., None]) + colour * cover[..., None]


def _shade(rng: np.random.Generator, image: Array, low: float = 0.25, high: float = 0.75) -> Array:
    """Return the image made darker (mostly) or brighter by a share of its brightness."""
    amount = rng.uniform(low, high)
    return image * (1 - amount) if rng.random() < 0.75 else image + (1 - image) * amount * 0.8


def crack(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    main = _path(rng, rng.uniform(25, 80), rng.uniform(0.05, 0.35))
    paths = [main]
    for _ in range(rng.integers(0, 4)):
        twig = _path(rng, rng.uniform(8, 30), 0.25)
        paths.append(twig - twig[0] + main[rng.integers(len(main))])
    cover = _strokes(paths, rng.uniform(0.7, 3.2))
    dark = image * rng.uniform(0.1, 0.6) * (1 + 0.15 * field(rng, 1.0))[..., None]
    return _blend(image, cover, np.clip(dark, 0, 1)), cover > 0.35


def scratch(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    path = _path(rng, rng.uniform(15, 70), rng.uniform(0, 0.05))
    count = rng.integers(1, 4)
    paths = [path + rng.normal(0, 2.5, 2) for _ in range(count)]
    cover = _strokes(paths, rng.uniform(0.7, 2.2)) * rng.uniform(0.6, 1)
    bright = rng.random() < 0.65
    colour = np.clip(image + (rng.uniform(0.15, 0.5) if bright else -rng.uniform(0.1, 0.35)), 0, 1)
    mask = _strokes(paths, 2.2) > 0.35
    return _blend(image, cover, colour), mask


def fray(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    centre = rng.uniform(15, 49, 2)
    paths = []
    for _ in range(rng.integers(5, 14)):
        fibre = _path(rng, rng.uniform(8, 22), 0.2)
        paths.append(fibre - fibre.mean(0) + centre + rng.normal(0, 4, 2))
    cover = _strokes(paths, rng.uniform(0.7, 1.4))
    mask = ndimage.binary_closing(np.pad(cover > 0.3, 4), iterations=3)[4:-4, 4:-4]
    return _blend(image, cover, _shade(rng, image, 0.3, 0.8)), mask | (cover > 0.3)


def hole(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    mask = _blob(rng, rng.uniform(1.0, 9), rng.uniform(0.8, 1.25))
    cover = ndimage.gaussian_filter(mask.astype(float), 0.6)
    rim = np.clip(ndimage.gaussian_filter(mask.astype(float), 1.5) - cover, 0, 1)
    inside = image * rng.uniform(0.05, 0.45)
    return _blend(image, cover, inside) + rng.uniform(0, 0.3) * rim[..., None], mask


def stain(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    mask = _blob(rng, rng.uniform(6, 24), rng.uniform(0.8, 1.25))
    cover = ndimage.gaussian_filter(mask.astype(float), rng.uniform(0.6, 1.6))
    tint = rng.uniform(0.35, 1.0, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(0.4, 0.85))
    mottle = 1 + rng.uniform(0, 0.25) * field(rng, rng.uniform(1, 5))
    return _blend(image, cover, np.clip(image * tint * mottle[..., None], 0, 1)), mask


def rust(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    mask = _blob(rng, rng.uniform(6, 24)) & (field(rng, rng.uniform(1.5, 4)) > rng.uniform(-2, 0.2))
    mask = mask if mask.any() else _blob(rng, 8)
    colour = np.array([0.45, 0.24, 0.12]) * rng.uniform(0.6, 1.5)
    texture = np.clip(colour * (1 + 0.3 * field(rng, 1.2))[..., None], 0, 1)
    cover = ndimage.gaussian_filter(mask.astype(float), 0.7) * rng.uniform(0.6, 1)
    return _blend(image, cover, texture), mask


def dent(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    mask = _blob(rng, rng.uniform(4, 15), rng.uniform(0.75, 1.3))
    depth = ndimage.gaussian_filter(np.minimum(ndimage.distance_transform_edt(mask), 5.0), 1)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.sin(angle) * ndimage.sobel(depth, 0) + np.cos(angle) * ndimage.sobel(depth, 1)
    lit = image * (1 + rng.uniform(0.05, 0.14) * slope[..., None])
    return np.where(mask[..., None], np.clip(lit, 0, 1), image), mask


def chip(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    mask = _blob(rng, rng.uniform(3, 12), rng.uniform(0.7, 1.4))
    facets = np.sign(field(rng, 3)) * 0.06 + 0.05 * field(rng, 0.7)
    flesh = np.clip(_shade(rng, image, 0.15, 0.5) + facets[..., None], 0, 1)
    return _blend(image, ndimage.gaussian_filter(mask.astype(float), 0.5), flesh), mask


def deposit(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    mask = _blob(rng, rng.uniform(2, 10), rng.uniform(0.6, 1.6))
    colour = rng.uniform(0, 1, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0, 1))
    body = np.clip(colour + 0.05 * field(rng, 1)[..., None], 0, 1)
    return _blend(image, ndimage.gaussian_filter(mask.astype(float), 0.5), body), mask


def warp(rng: np.random.Generator, image: Array) -> tuple[Array, Array]:
    mask = _blob(rng, rng.uniform(7, 18))
    weight = ndimage.gaussian_filter(mask.astype(float), 2) * rng.uniform(3, 9)
    y, x = np.mgrid[:SIDE, :SIDE] + np.stack([field(rng, 5), field(rng, 5)]) * weight
    moved = np.stack(
        [ndimage.map_coordinates(image[..., c], [y, x], order=1, mode="reflect") for c in range(3)],
        -1,
    )
    return np.where(mask[..., None], moved * rng.uniform(0.85, 1.05), image), mask


DEFECTS: dict[str, Defect] = {
    "crack": crack,
    "scratch": scratch,
    "fray": fray,
    "hole": hole,
    "stain": stain,
    "rust": rust,
    "dent": dent,
    "chip": chip,
    "deposit": deposit,
    "warp": warp,
}


def scene(rng: np.random.Generator) -> Scene:
    """Return one sample: a binary mask drawn as an image (6 %), a normal (20 %) or a defect."""

    kind = list(DEFECTS)[rng.integers(len(DEFECTS))]
    background, name = surface(rng)
    draw, empty = rng.random(), np.zeros((SIDE, SIDE), bool)
    if 0.06 <= draw < 0.26:
        return Scene(background, empty, f"a photo of a {name} surface")
    image, mask = DEFECTS[kind](rng, background)
    if draw < 0.06:
        return Scene(np.repeat(mask[..., None], 3, 2).astype(float), empty, "a binary mask")
    image = np.where(mask[..., None] | (image != background), np.clip(image, 0, 1), background)
    return Scene(image, mask, f"a photo of a {name} surface with {kind}")
