"""Little images and masks for the tests of the corpora."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 48


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def texture(seed: int, *, shape: tuple[int, ...] = (SIZE, SIZE, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 200, shape, dtype=np.uint8)


def blob(seed: int, *, size: int = SIZE) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    cx, cy = np.random.default_rng(seed).integers(12, size - 12, 2)
    return (np.hypot(x - cx, y - cy) < 5).astype(np.uint8) * 255
