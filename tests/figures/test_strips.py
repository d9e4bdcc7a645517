"""Strips of real beside generated."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from categories import publish_set
from defectsynth_pipeline.corpora.columns import COLUMNS
from defectsynth_pipeline.figures.strips import (
    draw_real_and_generated_masks,
    draw_real_and_synthetic,
)
from defectsynth_pipeline.imaging.codec import encode_png


@pytest.fixture
def samples(tmp_path, rng) -> pd.DataFrame:
    rows = []
    for number, defect_type in enumerate(["hole", "hole", "scratch"]):
        mask = np.zeros((80, 200), bool)
        mask[30:40, 20 : 40 + 5 * number] = True
        pictures = {"image": rng.integers(0, 65536, (80, 200), dtype=np.uint16), "mask": mask}
        for name, array in pictures.items():
            (tmp_path / f"{name}{number}.png").write_bytes(encode_png(array))
        rows.append(
            dict.fromkeys(COLUMNS, "")
            | {
                "category": "tile",
                "defect_type": defect_type,
                "root": tmp_path.as_posix(),
                "image": f"image{number}.png",
                "mask": f"mask{number}.png",
                "split": "base",
            }
            | {"x": 0, "y": 0, "width": 200, "height": 80}
        )
    return pd.DataFrame(rows)


@pytest.fixture
def image_set(tmp_path, samples):
    plan = samples[["category", "defect_type"]].assign(image_id=["a", "b", "c"])
    plan = plan.assign(
        certainty=[0.9, 0.2, 0.5], verdict="accepted", way="parts", parents="x/1|x/2"
    )
    mask = np.eye(80, 200, 60, dtype=bool)

    arrays = {"image": np.full((80, 200), 99, np.uint8), "mask": mask}
    return publish_set(tmp_path / "set", plan, lambda row: arrays)


@pytest.mark.parametrize("draw", [draw_real_and_synthetic, draw_real_and_generated_masks])
def test_one_strip_per_type_with_the_real_ones_in_a_frame(samples, image_set, draw):
    figure = draw(samples, image_set)
    titles = [ax.get_title(loc="left").split(",")[0] for ax in figure.axes]
    assert titles == ["tile / hole: 2 real", "tile / scratch: 1 real"]
    widths = [ax.patches[0].get_width() for ax in figure.axes]
    assert widths == [264, 132]
    buffer = io.BytesIO()
    figure.savefig(buffer)
    assert np.ptp(np.asarray(Image.open(buffer).convert("L"))) > 200


def test_every_image_has_its_id_verdict_and_place(samples, image_set):
    hole, _ = draw_real_and_synthetic(samples, image_set).axes
    captions = [text.get_text().split("\n") for text in hole.texts]
    assert [lines[0] for lines in captions[2:]] == ["best: accepted 0.90", "worst: accepted 0.20"]
    assert [lines[1] for lines in captions[2:]] == ["a", "b"]


def test_masks_have_their_way_and_parents(samples, image_set):
    (_, scratch) = draw_real_and_generated_masks(samples, image_set).axes
    assert scratch.get_title(loc="left").endswith("then 1 parts")
    assert scratch.texts[-1].get_text() == "parts\n1 + 2"


def test_whole_part_crop_and_outline_stand_below_one_another(samples, image_set):
    strip = draw_real_and_synthetic(samples, image_set).axes[1].images[0].get_array()
    levels = strip.reshape(3, 132, 2, 132, 3).swapaxes(1, 2).astype(int)
    red = (levels[..., 0] - levels[..., 1] > 100).sum(axis=(2, 3))
    assert (red[1] == 0).all(), "the crop is untouched"
    assert (red[2] > 50).all(), "the last row has every mask outlined"
    yellow = ((levels[..., 0] - levels[..., 2] > 100) & (levels[..., 1] > 150)).sum(axis=(2, 3))
    assert (yellow[0] > 50).all(), "the whole part has a box"
