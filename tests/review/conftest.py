"""A set of two categories with what it was made from; the last image of each type is rejected."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from categories import SHAPES, publish_set, surface, surface16, write_category
from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import IngestOptions

EACH = 4  # images of a type
SURFACES = {"plate": surface, "x ray": surface16}


class Made(NamedTuple):
    """Images, and the tables behind them."""

    images: ImageSet
    samples: pd.DataFrame
    masks: pd.DataFrame


def make_set(folder: Any) -> Made:
    for category, draw in SURFACES.items():
        write_category(folder / "raw" / category, draw, SHAPES, first=500)
    samples = make_samples(folder / "raw", IngestOptions(base_share=0.5))
    rows, masks = [], []
    for category in SURFACES:
        mine = samples[samples["category"] == category]
        for kind in SHAPES:
            of_type = (mine["split"] == "base") & (mine["defect_type"] == kind)
            base, good = mine[of_type], mine[mine["split"] == "normal"]
            for number in range(EACH):
                rejected, name = number == EACH - 1, f"{category[0]}-{kind}-{number}"
                rows.append(
                    {
                        "image_id": name,
                        "category": category,
                        "defect_type": kind,
                        "engine": ("transfer", "paste")[number % 2],
                        "mask": f"m-{name}",
                        "background": good["sample_id"].iloc[number],
                        "reference": base["sample_id"].iloc[number % 2],
                        "seed": number,
                        "verdict": "rejected" if rejected else "accepted",
                        "reason": "nothing is there" if rejected else "",
                        "certainty": 0.9 - 0.2 * number,
                    }
                )
                masks.append({"image_id": f"m-{name}", "parents": "|".join(base["sample_id"][:2])})
    draw = partial(render, {sample.sample_id: sample for sample in each_sample(samples)})
    images = publish_set(folder / "synthetic_images", pd.DataFrame(rows), draw)
    return Made(images, samples, pd.DataFrame(masks))


def render(samples: dict[str, Any], row: Any) -> dict[str, np.ndarray]:
    """The background, darker in the mask."""
    image, mask = samples[row.background].image(), SHAPES[row.defect_type](row.seed)
    image[mask] //= 3
    return {"image": image, "mask": mask}


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="package")
def images(made: Made) -> ImageSet:
    return made.images
