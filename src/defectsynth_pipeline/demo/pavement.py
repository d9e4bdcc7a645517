"""Asphalt and concrete with thin branching cracks, as in DeepCrack."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.demo.noise import (
    grid,
    octaves,
    photograph,
    smooth_noise,
    stroke,
    wander,
)

HEIGHT, WIDTH = 256, 384


def draw_pavement(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One photograph of a cracked pavement.

    Args:
        rng: Decides everything.

    Returns:
        uint8 (256, 384, 3) and the coverage of the crack, uint8 (256, 384), anti-aliased.
    """
    surface = _surface(rng)
    crack = _crack(rng)
    shape = crack.shape
    depth = np.clip(ndimage.gaussian_filter(crack, 0.5) * 1.15, 0, 1)
    depth *= np.clip(0.93 + 0.10 * smooth_noise(rng, shape, 5.0), 0.7, 1)
    worn = ndimage.gaussian_filter(crack, 2.6) * (1 + 0.5 * smooth_noise(rng, shape, 3.0))
    lip = np.clip(np.roll(crack, (2, 2), (0, 1)) - crack, 0, 1)
    scene = surface * (1 - 0.16 * np.clip(worn, 0, 1))[..., None] + 0.05 * lip[..., None]
    floor = 0.09 + 0.05 * np.clip(smooth_noise(rng, shape, 1.5), 0, 2)
    scene = scene * (1 - depth[..., None]) + (depth * floor)[..., None]
    return photograph(rng, scene, blur=0.6), np.rint(crack * 255).astype(np.uint8)


def _surface(rng: np.random.Generator) -> np.ndarray:
    """Stones of several sizes in a binder, weathering, a little colour; (256, 384, 3)."""
    shape = (HEIGHT, WIDTH)
    fine = smooth_noise(rng, shape, 0.8)
    medium = smooth_noise(rng, shape, 1.7)
    stones = np.clip(medium - 0.9, 0, 1.4) * rng.uniform(0.05, 0.13)
    pits = np.clip(-smooth_noise(rng, shape, 1.2) - 1.5, 0, 1) * rng.uniform(0.10, 0.2)
    weather = octaves(rng, shape, (60.0, 24.0, 8.0))
    base = rng.uniform(0.42, 0.58)
    grey = base + 0.045 * fine + 0.025 * medium + stones - pits + 0.028 * weather
    y, x = grid(*shape)
    direction = rng.uniform(0, 2 * np.pi)
    grey += 0.07 * ((x / WIDTH - 0.5) * np.cos(direction) + (y / HEIGHT - 0.5) * np.sin(direction))
    tint = np.array([1.0, 0.985, 0.955]) + rng.normal(0, 0.012, 3)
    warm = 0.012 * smooth_noise(rng, shape, 2.2)[..., None] * np.array([1.0, 0.1, -1.0])
    return np.asarray(grey[..., None] * tint + warm, np.float32)


def _crack(rng: np.random.Generator) -> np.ndarray:
    """Coverage of a crack that crosses the image, with up to three branches."""
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.35)
    length = 0.5 * rng.uniform(0.75, 1.7) * (WIDTH if abs(np.cos(angle)) > 0.7 else HEIGHT)
    centre = np.array([WIDTH, HEIGHT]) * rng.uniform(0.35, 0.65, 2)
    direction = np.array([np.cos(angle), np.sin(angle)])
    path = wander(rng, tuple(centre - direction * length), angle, 2 * length, turn=0.42)
    path += centre - path[len(path) // 2]
    width = rng.uniform(2.2, 3.8)
    crack = stroke((HEIGHT, WIDTH), path, _widths(rng, len(path), width, 0.25))
    for _ in range(rng.integers(0, 4)):
        origin = path[int(rng.uniform(0.2, 0.8) * len(path))]
        turn = angle + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
        branch = wander(rng, tuple(origin), turn, rng.uniform(45, 130), turn=0.45)
        widths = _widths(rng, len(branch), width * rng.uniform(0.5, 0.75), 0.0)
        crack = np.maximum(crack, stroke((HEIGHT, WIDTH), branch, widths))
    return crack


def _widths(rng: np.random.Generator, count: int, width: float, start: float) -> np.ndarray:
    """Widths along a crack in pixels: uneven, thinning out to its end (and from its start)."""
    along = np.linspace(0, 1, count)
    uneven = 1 + 0.28 * smooth_noise(rng, (1, count), (0.0, 3.0))[0]
    ends = np.clip((1 - along) * 4, 0.3, 1)
    if start:
        ends = np.minimum(ends, np.clip(along * 4, 0.3, 1))
    return np.clip(width * uneven * ends, 0.8, None)
