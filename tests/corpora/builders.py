"""Little images and masks for the tests of the corpora."""

from __future__ import annotations

import numpy as np

from categories import disc

SIZE = 48


def texture(seed: int, *, shape: tuple[int, ...] = (SIZE, SIZE, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 200, shape, dtype=np.uint8)


def blob(seed: int, *, size: int = SIZE) -> np.ndarray:
    return disc(seed, (size, size), radius=5, margin=12).astype(np.uint8) * 255
