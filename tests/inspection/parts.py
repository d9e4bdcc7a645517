"""A small corpus with finished images, a bank over it, and options that train in a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.imagesets import ImageSet, ImageSetJob, Rendered, publish
from defectsynth_pipeline.options import (
    ArmOptions,
    ClassificationOptions,
    IngestOptions,
    LocalizationOptions,
    ProtocolOptions,
)

SHAPE = (48, 64)
TRAINING = {"steps": 3, "batch_size": 4, "weights": "none", "validate_every": 2}
CLASSIFICATION = ClassificationOptions.model_validate(
    {"side": 32, "training_set": {"count": 4, "real": 4, "normals": 0}, "training": TRAINING}
)
LOCALIZATION = LocalizationOptions.model_validate(
    {
        "side": 48,
        "patch": 32,
        "training_set": {"count": 4, "real": 4, "normals": 2},
        "training": TRAINING,
    }
)
PROTOCOL = ProtocolOptions(seeds=[0, 1])


def write_corpus(root: Path) -> Path:
    """An MVTec category `plate`: 4 good, 2 good test, six dents and six scratches."""
    folder = root / "plate"
    for index in range(4):
        _save(folder / "train" / "good" / f"{index:03d}.png", surface(index))
    for index in range(2):
        _save(folder / "test" / "good" / f"{index:03d}.png", surface(90 + index))
    for number, defect_type in enumerate(("dent", "scratch")):
        for index in range(6):
            image, mask = defective(100 * number + 10 + index, defect_type)
            _save(folder / "test" / defect_type / f"{index:03d}.png", image)
            _save(folder / "ground_truth" / defect_type / f"{index:03d}_mask.png", mask)
    return root


def make_bank(folder: Path) -> Bank:
    """The bank over the corpus, half of whose defects are base."""
    samples = make_samples(write_corpus(folder / "mvtec"), IngestOptions(base_share=0.5))
    base = samples[samples["split"] == "base"].reset_index(drop=True)
    masks = _publish(folder / "masks", base, lambda row: {"parents": row["sample_id"]})
    normal = samples[samples["split"] == "normal"]["sample_id"].iloc[0]
    synthetic = _publish(
        folder / "synthetic",
        base,
        lambda row: {
            "mask": f"i{row.name:02d}",
            "reference": row["sample_id"],
            "background": normal,
            "verdict": "visible",
        },
    )
    return Bank(samples, synthetic, masks, options=ArmOptions(names=["base_normals"]))


def surface(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(90, 160, (*SHAPE, 3), dtype=np.uint8)


def defective(seed: int, defect_type: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    row, column = rng.integers(12, SHAPE[0] - 12), rng.integers(12, SHAPE[1] - 24)
    y, x = np.indices(SHAPE)
    if defect_type == "dent":
        mask = np.hypot(y - row, x - column) < 6
    else:
        mask = (abs(y - row) < 2) & (x >= column) & (x < column + 16)
    image = surface(seed)
    image[mask] //= 4
    return image, mask


class Tracked:
    """Notes what is tracked."""

    def __init__(self) -> None:
        self.runs: dict[str, list[tuple[int, dict[str, float]]]] = {}

    @contextmanager
    def __call__(self, name: str, params: Mapping[str, object]) -> Iterator[Any]:
        points = self.runs.setdefault(name, [])
        yield lambda step, values: points.append((step, dict(values)))


def changed(options: Any, **values: Any) -> Any:
    """Options with some values replaced and checked; nested ones as dicts."""
    merged = options.model_dump()
    for key, value in values.items():
        merged[key] = merged[key] | value if isinstance(value, dict) else value
    return type(options).model_validate(merged)


def _publish(folder: Path, base: pd.DataFrame, record: Any) -> ImageSet:
    rows = [
        {
            "image_id": f"i{row.name:02d}",
            "category": row["category"],
            "defect_type": row["defect_type"],
            **record(row),
        }
        for _, row in base.iterrows()
    ]
    plan = pd.DataFrame(rows)

    def render(missing: pd.DataFrame) -> Iterator[Rendered]:
        for place, row in missing.iterrows():
            image, mask = defective(500 + int(str(place)), row["defect_type"])
            yield Rendered(row["image_id"], {"image": image, "mask": mask})

    return publish(ImageSetJob("f00d", plan, render), folder, version="v1", name="set")


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8) * 255 if array.dtype == bool else array).save(path)
