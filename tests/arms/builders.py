"""A small bank: two textures with two types each, a part with one, and a synthetic set."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from categories import NUMBERED, SHAPE, SHAPES, publish_set, write_category
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.motion import STAY
from defectsynth_pipeline.options import ArmOptions, IngestOptions
from small_models import make_masks

SIDE = 128  # of the part's images
SPOT = (28.0, 4.0)  # of the part's defect, (y, x) from the part's origin
DARKENING = 3  # what a defect divides its surface by


def texture(seed: int, *, grey16: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = rng.integers(80, 200)
    if grey16:
        return rng.integers(200 * level, 220 * level, SHAPE, dtype=np.uint16)
    return rng.integers(level - 10, level + 10, (*SHAPE, 3), dtype=np.uint8)


def turned(angle: float) -> np.ndarray:
    """What turns (y, x) by degrees, clockwise as seen on screen."""
    radians = np.deg2rad(angle)
    cos, sin = np.cos(radians), np.sin(radians)
    return np.array([[cos, sin], [-sin, cos]])


def pose(seed: int) -> tuple[float, np.ndarray]:
    """How the part lies in image `seed`: degrees, and the (y, x) of its origin."""
    rng = np.random.default_rng(seed)
    return float(rng.uniform(0, 360)), np.array([SIDE / 2, SIDE / 2]) + rng.uniform(-6, 6, 2)


def part(seed: int) -> np.ndarray:
    """A bright L on dark ground."""
    angle, centre = pose(seed)
    rows, columns = np.indices((SIDE, SIDE), dtype=float)
    points = np.stack([rows - centre[0], columns - centre[1]], -1) @ turned(angle)
    y, x = points[..., 0], points[..., 1]
    image = np.full((SIDE, SIDE, 3), 25.0)
    image[((np.abs(y) < 38) & (np.abs(x) < 9)) | ((y > 20) & (y < 38) & (x > 0) & (x < 32))] = 200
    image += np.random.default_rng(seed).normal(0, 3, image.shape)
    return image.clip(0, 255).astype(np.uint8)


def spot_centre(seed: int) -> np.ndarray:
    """Where the spot of the part lies in image `seed`, (y, x)."""
    angle, centre = pose(seed)
    return turned(angle) @ np.array(SPOT) + centre


def spot(seed: int) -> np.ndarray:
    y, x = spot_centre(seed)
    rows, columns = np.indices((SIDE, SIDE))
    return np.hypot(rows - y, columns - x) <= 4.5


def make_bank(folder: Path, **options: Any) -> Bank:
    """The categories `plate` (RGB), `x ray` (16-bit grey) and `bracket`, and synthetic images."""
    raw = folder / "raw"
    write_category(raw / "plate", texture, SHAPES, darkening=DARKENING)
    grey = partial(texture, grey16=True)
    write_category(raw / "x ray", grey, SHAPES, darkening=DARKENING, first=1000)
    spots = {"spot": spot}
    write_category(raw / "bracket", part, spots, good=NUMBERED[:4], darkening=DARKENING)
    samples = make_samples(raw, IngestOptions(base_share=0.5))
    masks = make_masks(folder / "masks", samples[samples["category"] != "bracket"])
    synthetic = _synthetic(folder / "synthetic", samples, masks)
    return Bank(samples, synthetic, masks, options=ArmOptions(**options))


def _synthetic(folder: Path, samples: pd.DataFrame, masks: ImageSet) -> ImageSet:
    """An image per mask; the last of a type is rejected."""
    rows = []
    for number, mask in enumerate(masks.manifest.itertuples()):
        mine = samples[samples["category"] == mask.category]
        real = mine[(mine["split"] == "base") & (mine["defect_type"] == mask.defect_type)]
        rows.append(
            {
                "image_id": f"s{number:03d}",
                "category": mask.category,
                "defect_type": mask.defect_type,
                "mask": mask.image_id,
                "background": mine[mine["split"] == "normal"]["sample_id"].iloc[number % 4],
                "reference": real["sample_id"].iloc[-1],
                "others": "",
                "seed": number,
                "verdict": "rejected" if number % 4 == 3 else "accepted",
                "engine": "transfer",
                "severity": 1.0,
                "blend": "feather",
                "placement": "as_is",
                **asdict(STAY),
            }
        )

    def render(row: Any) -> dict[str, np.ndarray]:
        grey16 = row.category == "x ray"
        image, mask = texture(700, grey16=grey16), masks.array(row.mask, "mask")
        image[mask] //= 4
        return {"image": image, "mask": mask}

    return publish_set(folder, pd.DataFrame(rows), render)


def with_manifest(bank: Bank, **columns: object) -> Bank:
    """The bank with other columns of its synthetic images."""
    manifest = bank.synthetic.manifest.assign(**columns)
    return replace(bank, synthetic=ImageSet(bank.synthetic.root, manifest))


def external_set(root: Path) -> Any:
    """Three pairs per type of another system, with what an arm reads of an `ExternalSet`."""
    pairs = [
        {"image_id": f"{name}/{index}", "category": "plate", "defect_type": name}
        for name in SHAPES
        for index in range(3)
    ]

    def example(image_id: str) -> Example:
        name, index = image_id.split("/")
        return Example(texture(int(index)), SHAPES[name](int(index)))

    return SimpleNamespace(name="other", root=root, pairs=pd.DataFrame(pairs), example=example)
