"""A small corpus with finished images, a bank over it, and options that train in a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from categories import NUMBERED, disc, publish_set, surface, write_category
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import (
    ArmOptions,
    ClassificationOptions,
    IngestOptions,
    LocalizationOptions,
    ProtocolOptions,
)

SHAPE = (48, 64)
TRAINING = {"steps": 3, "batch_size": 4, "weights": "none", "validate_every": 2}
PAPER = {"network": "resnet34", "side": 32, "steps": 2, "arms": ["base"]}
CLASSIFICATION = ClassificationOptions.model_validate(
    {
        "network": "resnet18",
        "side": 32,
        "training_set": {"count": 4, "real": 4, "normals": 0},
        "training": TRAINING,
        "paper": None,
    }
)
LOCALIZATION = LocalizationOptions.model_validate(
    {
        "side": 48,
        "patch": 32,
        "encoder": "resnet18",
        "paper": None,
        "training_set": {"count": 4, "real": 4, "normals": 2},
        "training": TRAINING,
    }
)
PROTOCOL = ProtocolOptions(seeds=[0, 1])


def make_bank(folder: Path) -> Bank:
    """The bank over the corpus, half of whose defects are base."""
    plate = folder / "mvtec" / "plate"
    root = write_category(
        plate, _surface, MASKS, good=NUMBERED[:4], tested=NUMBERED[:2], darkening=4
    )
    samples = make_samples(root, IngestOptions(base_share=0.5))
    base = samples[samples["split"] == "base"].reset_index(drop=True)
    masks = _publish(folder / "masks", base, parents=base["sample_id"])
    normal = samples[samples["split"] == "normal"]["sample_id"].iloc[0]
    synthetic = _publish(
        folder / "synthetic",
        base,
        mask=masks.manifest["image_id"],
        reference=base["sample_id"],
        background=normal,
        verdict="accepted",
    )
    return Bank(samples, synthetic, masks, options=ArmOptions(names=["base"]))


def _surface(seed: int) -> np.ndarray:
    return surface(seed, (*SHAPE, 3))


def _dent(seed: int) -> np.ndarray:
    return disc(seed, SHAPE, radius=6, margin=12)


def _scratch(seed: int) -> np.ndarray:
    row, column = np.random.default_rng(seed).integers(12, np.array(SHAPE) - (12, 24))
    y, x = np.indices(SHAPE)
    return (abs(y - row) < 2) & (x >= column) & (x < column + 16)


MASKS = {"dent": _dent, "scratch": _scratch}


class Tracked:
    """Notes what is tracked."""

    def __init__(self) -> None:
        self.runs: dict[str, list[tuple[int, dict[str, float]]]] = {}

    @contextmanager
    def __call__(self, name: str, params: Mapping[str, object]) -> Iterator[Any]:
        points = self.runs.setdefault(name, [])
        yield lambda step, values: points.append((step, dict(values)))


def _publish(folder: Path, base: pd.DataFrame, **columns: Any) -> ImageSet:
    """Images of the types of `base`, with further columns."""
    plan = base[["category", "defect_type"]].assign(
        image_id=[f"i{number:02d}" for number in base.index], seed=500 + base.index, **columns
    )

    def render(row: Any) -> dict[str, np.ndarray]:
        image, mask = _surface(row.seed), MASKS[row.defect_type](row.seed)
        image[mask] //= 4
        return {"image": image, "mask": mask}

    return publish_set(folder, plan, render)
