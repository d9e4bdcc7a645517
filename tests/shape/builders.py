"""Base masks that the tests draw themselves."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.shape.strokes import Stroke, draw


def disc(side: int, row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.indices((side, side))
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


def bar(side: int, angle: float, length: float, width: float, centre: float = 0.5) -> np.ndarray:
    along = np.linspace(-length / 2, length / 2, int(2 * length))[:, None]
    path = centre * side + along * np.array([np.sin(angle), np.cos(angle)])
    return draw([Stroke(path, np.full(len(path), width / 2))], side, side)


def crack(seed: int, side: int = 128) -> np.ndarray:
    """A wavy line across the whole image with one branch, about three pixels wide."""
    rng = np.random.default_rng(seed)
    columns = np.arange(side, dtype=float)
    rows = side * rng.uniform(0.3, 0.7) + ndimage.gaussian_filter1d(rng.normal(0, 9, side), 4)
    main = Stroke(np.stack([rows, columns], axis=1), np.full(side, 1.5))
    start, steps = main.points[int(side * rng.uniform(0.3, 0.6))], np.arange(side // 4)[:, None]
    branch = Stroke(start + steps * np.array([0.8, 0.6]), np.full(len(steps), 1.2))
    return draw([main, branch], side, side)


def masks_of(kind: str, count: int = 4, side: int = 96) -> list[np.ndarray]:
    rng = np.random.default_rng(len(kind))
    if kind == "crack":
        return [crack(seed, 128) for seed in range(count)]
    if kind == "stain":
        return [disc(side, *rng.uniform(35, 60, 2), rng.uniform(17, 25)) for _ in range(count)]
    if kind == "speck":
        return [disc(side, *rng.uniform(20, 75, 2), rng.uniform(1.5, 3.5)) for _ in range(count)]
    return [
        bar(side, rng.uniform(0, 3), rng.uniform(20, 40), 6, rng.uniform(0.35, 0.6))
        for _ in range(count)
    ]
