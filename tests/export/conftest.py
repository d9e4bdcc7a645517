"""A published set with every awkward mask, and the samples it was made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from categories import SHAPE, blob, publish_set, sample_row, save, stroke, surface, surface16
from defectsynth_pipeline.imagesets import ImageSet

LICENCE = "CC-BY-NC-SA-4.0"


def ring() -> np.ndarray:
    """A ring with an island, and a part that touches it at a corner."""
    y, x = np.indices(SHAPE)
    away = np.hypot(y - 30, x - 40)
    mask = ((away > 12) & (away < 20)) | (away < 5)
    mask[0:4, 0:4] = mask[4:6, 4:6] = mask[-1, -1] = True
    return mask


MASKS = {
    "plate-scratch-0": stroke(1),
    "plate-scratch-1": stroke(2) | stroke(5),
    "plate-dent-0": ring(),
    "plate-dent-1": blob(3),
    "cast-dent-0": np.pad(np.ones((20, 30), bool), ((44, 0), (50, 0))),  # to the image's corner
    "cast-dent-1": blob(4),
}
REJECTED = "plate-dent-1"


@pytest.fixture(scope="package")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    rows = []
    for seed, name in enumerate(MASKS):
        category, defect_type, _ = name.split("-")
        rows.append({"image_id": name, "category": category, "defect_type": defect_type})
        rows[-1] |= {"verdict": "rejected" if name == REJECTED else "accepted", "seed": seed}
        rows[-1] |= {"background": f"b/{category}", "reference": ""}

    def render(row) -> dict[str, np.ndarray]:
        draw = surface16 if row.category == "cast" else surface
        return {"image": draw(row.seed), "mask": MASKS[row.image_id]}

    made = publish_set(tmp_path_factory.mktemp("made") / "set", pd.DataFrame(rows), render)
    return replace(made, manifest=made.manifest.assign(licence=LICENCE))


@pytest.fixture(scope="package")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Per category a good part, and a defect on either side; names that no tool takes."""
    root, rows = tmp_path_factory.mktemp("real"), []
    for category in ("plate", "cast", "other"):
        for split, kind in (("normal", "good"), ("base", "dent"), ("test", "dent")):
            mask = "" if kind == "good" else f"{category} {split} mask.png"
            if mask:
                save(root / mask, blob(6))
            told = {"category": category, "defect_type": kind, "split": split, "mask": mask}
            told |= {"sample_id": f"c/{category}/{kind}/ä {split}", "licence": "MIT"}
            rows.append(sample_row(root / f"{category} {split}.png", surface(7), **told))
    return pd.DataFrame(rows)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "export"
