"""A published set of two categories, 16-bit grey and RGB, the last image of each type rejected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from categories import SHAPES, publish_set, surface, surface16
from defectsynth_pipeline.imagesets import ImageSet

EACH = 4  # images of a type


def make_set(folder: Any) -> ImageSet:
    rows = [
        {
            "image_id": f"{category[0]}-{kind}-{number}",
            "category": category,
            "defect_type": kind,
            "engine": ("transfer", "paste")[number % 2],
            "seed": number,
            "verdict": "rejected" if number == EACH - 1 else "accepted",
            "reason": "nothing is there" if number == EACH - 1 else "",
        }
        for category in ("plate", "x ray")
        for kind in SHAPES
        for number in range(EACH)
    ]

    def render(row: Any) -> dict[str, np.ndarray]:
        draw = surface16 if row.category == "x ray" else surface
        image, mask = draw(row.seed), SHAPES[row.defect_type](row.seed)
        image[mask] //= 3
        return {"image": image, "mask": mask}

    return publish_set(folder, pd.DataFrame(rows), render)


@pytest.fixture(scope="package")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return make_set(tmp_path_factory.mktemp("set") / "synthetic_images")
