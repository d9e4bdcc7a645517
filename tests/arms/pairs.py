"""A small category on disk, and pairs as other systems write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 80
TYPES = ("dent", "scratch")


def surface(seed: int, side: int = SIDE) -> np.ndarray:
    """Uneven grey-brown, smooth enough to survive JPEG: uint8 (side, side, 3)."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(60, 200, (10, 10, 3), dtype=np.uint8))
    return np.array(coarse.resize((side, side), Image.Resampling.BICUBIC))


def spot(seed: int, side: int = SIDE) -> np.ndarray:
    """A disc, bool (side, side)."""
    y, x = np.indices((side, side))
    row, column = np.random.default_rng(seed).integers(20, side - 20, 2)
    return np.asarray(np.hypot(y - row, x - column) < 8)


def save(path: Path, array: np.ndarray, **how: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **how)
    return path


def write_category(root: Path, category: str = "plate") -> Path:
    """An MVTec category: 5 good, 2 good test, types dent and scratch with 6 images each."""
    folder = root / category
    for index in range(7):
        part = "train" if index < 5 else "test"
        save(folder / part / "good" / f"{index:03d}.png", surface(index))
    for number, defect_type in enumerate(TYPES, start=1):
        for index in range(6):
            seed = 100 * number + index
            image, mask = surface(seed), spot(seed)
            image[mask] = np.random.default_rng(seed).integers(0, 90, (int(mask.sum()), 3))
            save(folder / "test" / defect_type / f"{index:03d}.png", image)
            mask_file = folder / "ground_truth" / defect_type / f"{index:03d}_mask.png"
            save(mask_file, mask.astype(np.uint8) * 255)
    return root


def made(seed: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """A generated pair: image uint8 (side, side, 3) and mask bool."""
    image, mask = surface(1000 + seed, side), spot(1000 + seed, side)
    image[mask] = 20
    return image, mask
