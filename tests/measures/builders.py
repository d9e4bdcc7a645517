"""Score maps and masks that the tests draw themselves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from defectsynth_pipeline.measures.detection import LocalizationStats


class Shot(NamedTuple):
    sample_id: str
    group: str
    defect_type: str
    logits: np.ndarray
    mask: np.ndarray


def blobs(rng: np.random.Generator, side: int) -> np.ndarray:
    """A few rectangles and one diagonal pair of pixels, which only 8-connection joins."""
    mask = np.zeros((side, side), dtype=bool)
    for _ in range(rng.integers(1, 4)):
        top, left = rng.integers(0, side - 8, 2)
        height, width = rng.integers(1, 8, 2)
        mask[top : top + height, left : left + width] = True
    mask[0, 0] = mask[1, 1] = True
    return mask


def shots(
    per_type: int = 4, side: int = 40, seed: int = 0, types: tuple[str, ...] = ("crack", "scratch")
) -> list[Shot]:
    """Noisy float32 score maps of a detector that finds most but not all; good ones included."""
    rng = np.random.default_rng(seed)
    made = []
    for kind in (*types, "good"):
        for number in range(per_type):
            mask = np.zeros((side, side), dtype=bool) if kind == "good" else blobs(rng, side)
            logits = rng.normal(-3, 1.5, mask.shape) + rng.uniform(1, 5) * mask
            name = f"{kind}{number}"
            made.append(Shot(name, f"{kind}/{number // 2}", kind, logits.astype(np.float32), mask))
    return made


def stats_of(images: list[Shot]) -> LocalizationStats:
    stats = LocalizationStats()
    for shot in images:
        stats.update(*shot)
    return stats
