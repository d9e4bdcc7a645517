"""A small category on disk, and pairs as other systems write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from categories import NUMBERED, disc, write_category

SIDE = 80
TYPES = ("dent", "scratch")


def surface(seed: int, side: int = SIDE) -> np.ndarray:
    """Uneven grey-brown, smooth enough to survive JPEG: uint8 (side, side, 3)."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(60, 200, (10, 10, 3), dtype=np.uint8))
    return np.array(coarse.resize((side, side), Image.Resampling.BICUBIC))


def spot(seed: int, side: int = SIDE) -> np.ndarray:
    """A disc, bool (side, side)."""
    return disc(seed, (side, side), radius=8, margin=20)


def write_plate(root: Path) -> Path:
    """An MVTec category: 5 good, 2 good test, types dent and scratch with 6 images each."""
    masks = dict.fromkeys(TYPES, spot)
    return write_category(root / "plate", surface, masks, tested=NUMBERED[:2], darkening=4)


def made(seed: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """A generated pair: image uint8 (side, side, 3) and mask bool."""
    image, mask = surface(1000 + seed, side), spot(1000 + seed, side)
    image[mask] = 20
    return image, mask
