"""Small real corpora in the three native layouts, written anew for every test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from categories import NUMBERED, save, write_category

from .builders import blob, texture


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """An MVTec tree of one category: 4 good, 2 good test, types dent and scratch, 6 each."""
    masks = dict.fromkeys(("dent", "scratch"), lambda seed: blob(seed) > 0)
    good, tested = NUMBERED[:4], NUMBERED[:2]
    plate = tmp_path / "parts" / "plate"
    return write_category(plate, texture, masks, good=good, tested=tested, darkening=1)


@pytest.fixture
def welds(tmp_path: Path) -> Path:
    """Five radiographs of 120 x 400 with two defects each."""
    root = tmp_path / "xray"
    for index in range(1, 6):
        mask = np.zeros((120, 400), np.uint8)
        mask[40:52, 60 + index : 70 + index] = 255
        mask[60:70, 250:264] = 255
        image = texture(index, shape=(120, 400))
        save(root / "Welds" / "W0001" / f"W0001_{index:04d}.png", image)
        save(root / "Welds" / "W0002" / f"W0002_{index:04d}.png", mask)
    return root


@pytest.fixture
def cracks(tmp_path: Path) -> Path:
    """Nine cracked images of 64 x 96 from six photographs, jpg with anti-aliased png masks."""
    root = tmp_path / "cracks"
    names = ["11-1", "11-2", "11-10", "12-1", "12-2", "IMG_7", "wall", "Straße", "a b"]
    for index, name in enumerate(names):
        image = texture(index, shape=(64, 96, 3))
        mask = np.zeros((64, 96), np.uint8)
        mask[:, 20 + index : 22 + index] = 255
        mask[:, 19 + index] = 96
        image[mask > 127] = 10
        half = "train" if index < 6 else "test"
        save(root / f"{half}_img" / f"{name}.jpg", image)
        save(root / f"{half}_lab" / f"{name}.png", mask)
    return root
