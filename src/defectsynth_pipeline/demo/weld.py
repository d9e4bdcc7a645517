"""Radiographs of a butt weld with gas pores, long strips as in GDXray's series W0001."""

from __future__ import annotations

import numpy as np

from defectsynth_pipeline.demo.noise import grid, octaves, smooth_noise

HEIGHT, WIDTH = 384, 1152


def draw_weld(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One radiograph with three groups of pores.

    Args:
        rng: Decides everything.

    Returns:
        uint8 (384, 1152), grey, and its mask, bool.
    """
    y, x = grid(HEIGHT, WIDTH)
    shape = (HEIGHT, WIDTH)
    middle = HEIGHT / 2 + rng.normal(0, 8) + 4 * smooth_noise(rng, (1, WIDTH), (0.0, 150.0))[0]
    half = 66 + 2.2 * smooth_noise(rng, (1, WIDTH), (0.0, 16.0))[0] + rng.normal(0, 3)
    across = (y - middle) / half
    bead = np.clip(1 - across**2, 0, 1) ** 0.55
    pitch = rng.uniform(13, 16)
    ripple = np.sin(2 * np.pi * (x + 14 * across**2 + 2 * smooth_noise(rng, shape, 9.0)) / pitch)
    value = (
        0.40
        + 0.07 * (x / WIDTH - 0.5) * rng.normal(0, 1)
        + 0.025 * octaves(rng, shape, (90.0, 30.0))
    )
    value = value + bead * (0.19 + 0.018 * ripple) + 0.012 * bead * octaves(rng, shape, (12.0, 5.0))
    root = np.exp(-((across / 0.16) ** 2))
    value = value + 0.035 * root * (1 + 0.6 * smooth_noise(rng, (1, WIDTH), (0.0, 18.0))[0])
    value -= 0.05 * np.exp(-(((np.abs(across) - 1.03) / 0.06) ** 2))
    mask = np.zeros(shape, bool)
    places = (np.arange(3) + rng.uniform(0.32, 0.68, 3)) * WIDTH / 3
    for centre in places:
        value, mask = _pores(rng, value, mask, centre, float(middle[int(centre)]))
    film = 0.016 * smooth_noise(rng, shape, 0.75) + 0.012 * smooth_noise(rng, shape, 1.6)
    fall = 1 - 0.35 * ((y / HEIGHT - 0.5) * 2) ** 4
    return np.rint((value * fall + film).clip(0, 1) * 255).astype(np.uint8), mask


def _pores(
    rng: np.random.Generator, value: np.ndarray, mask: np.ndarray, x0: float, y0: float
) -> tuple[np.ndarray, np.ndarray]:
    """A group of 2 to 5 pores: less metal, hence darker, with soft edges."""
    for _ in range(rng.integers(2, 6)):
        cx, cy = x0 + rng.normal(0, 15), y0 + np.clip(rng.normal(0, 13), -38, 38)
        radius, ratio, turn = rng.uniform(4, 10), rng.uniform(0.55, 1.0), rng.normal(0, 0.4)
        top, left = max(int(cy) - 24, 0), max(int(cx) - 24, 0)
        part = np.s_[top : top + 48, left : left + 48]
        y, x = np.mgrid[part]
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        reach = np.hypot(u, v / ratio) / radius + 0.08 * smooth_noise(rng, u.shape, 3.0)
        chord = np.sqrt(np.clip(1.05 - reach**2, 0, 1))
        value[part] -= rng.uniform(0.13, 0.22) * chord
        mask[part] |= reach < 0.98
    return value, mask
