"""A woven cloth; defect: stain, large (mean area ratio well above 0.053)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.demo.noise import (
    grid,
    octaves,
    photograph,
    smooth_noise,
    step,
)

DEFECT_TYPES = ("stain",)
SIZE = 256
_CLOTH = np.array([0.56, 0.60, 0.63], np.float32)
_TINT = np.array([0.62, 0.45, 0.26], np.float32)


def draw_fabric(
    rng: np.random.Generator, defect_type: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One photograph of a cloth.

    Args:
        rng: Decides everything.
        defect_type: "stain", or None for a good cloth.

    Returns:
        uint8 (256, 256, 3) and its mask, bool (256, 256).
    """
    scene = _weave(rng)[..., None] * _CLOTH
    mask = np.zeros((SIZE, SIZE), bool)
    if defect_type is not None:
        scene, mask = _stain(rng, scene)
    y, x = grid(SIZE, SIZE)
    direction = rng.uniform(0, 2 * np.pi)
    slope = ((x - 128) * np.cos(direction) + (y - 128) * np.sin(direction)) / SIZE
    scene = scene * (rng.uniform(0.95, 1.05) + 0.10 * slope)[..., None]
    return photograph(rng, scene, blur=0.6), mask


def _weave(rng: np.random.Generator) -> np.ndarray:
    """Brightness of a plain weave: threads as lit cylinders, over and under in turn."""
    y, x = grid(SIZE, SIZE)
    turn, period = rng.normal(0, 0.025), 7.0
    bend = [smooth_noise(rng, (SIZE, SIZE), 28.0) * 0.8 for _ in range(2)]
    u = (x * np.cos(turn) + y * np.sin(turn) + bend[0] + 40) / period
    v = (y * np.cos(turn) - x * np.sin(turn) + bend[1] + 40) / period
    warp, weft = np.floor(u).astype(int), np.floor(v).astype(int)
    over = (warp + weft) % 2 == 0
    across = np.where(over, u - warp, v - weft) - 0.5
    along = np.where(over, v - weft, u - warp) - 0.5
    threads = rng.normal(0, 0.055, (2, 96))
    tone = np.where(over, threads[0][warp % 96], threads[1][weft % 96])
    round_ = np.sqrt(np.clip(1 - (1.75 * across) ** 2, 0, 1))
    crown = np.cos(np.pi * along * 0.95)
    fibre = smooth_noise(rng, (SIZE, SIZE), 0.7) * 0.045
    value = 0.34 + 0.58 * round_ * (0.45 + 0.55 * crown) + tone + fibre
    value += 0.02 * octaves(rng, (SIZE, SIZE), (40.0, 12.0))
    return np.asarray(value * np.where(over, 1.06, 0.97), np.float32)


def _stain(rng: np.random.Generator, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A dried liquid: soaked area with a darker rim, here and there a satellite drop."""
    y, x = grid(SIZE, SIZE)
    cx, cy = rng.uniform(75, SIZE - 75, 2)
    radius, ratio, turn = rng.uniform(34, 58), rng.uniform(0.65, 1.0), rng.uniform(0, np.pi)
    u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
    v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
    outline = 0.17 * smooth_noise(rng, scene.shape[:2], 17.0)
    outline += 0.06 * smooth_noise(rng, scene.shape[:2], 5.0)
    inside = radius * (1 - np.hypot(u, v / ratio) / radius + outline)
    keep, _ = ndimage.label(inside > 0)
    inside = np.where((keep == keep[int(cy), int(cx)]) | (inside <= 0), inside, -3.0)
    for _ in range(rng.integers(0, 3)):
        angle, gap = rng.uniform(0, 2 * np.pi), radius * rng.uniform(1.15, 1.45)
        drop = rng.uniform(3, 7) - np.hypot(
            x - cx - gap * np.cos(angle), y - cy - gap * np.sin(angle)
        )
        inside = np.maximum(inside, drop)
    soak = step(inside + 0.8 * smooth_noise(rng, scene.shape[:2], 1.2), 2.4)
    rim = np.exp(-(((inside - 2.5) / 2.6) ** 2)) + 0.35 * np.exp(-(((inside - 12) / 4.0) ** 2))
    patch = 0.62 + 0.10 * octaves(rng, scene.shape[:2], (20.0, 6.0)) + 0.33 * rim
    weight = np.clip(soak * patch * rng.uniform(0.55, 0.9), 0, 1)[..., None]
    return scene * (1 - weight + weight * _TINT), inside > -0.5
