"""Small real corpora in the three native layouts, written anew for every test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .builders import blob, save, texture


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """An MVTec tree of one category: 4 good, 2 good test, types dent and scratch, 6 each."""
    root = tmp_path / "parts" / "plate"
    for index in range(4):
        save(root / "train" / "good" / f"{index:03d}.png", texture(index))
    for index in range(2):
        save(root / "test" / "good" / f"{index:03d}.png", texture(50 + index))
    for number, defect_type in enumerate(("dent", "scratch")):
        for index in range(6):
            seed = 100 * (number + 1) + index
            save(root / "test" / defect_type / f"{index:03d}.png", texture(seed))
            mask = root / "ground_truth" / defect_type / f"{index:03d}_mask.png"
            save(mask, blob(seed))
    return root.parent


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
