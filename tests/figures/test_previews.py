"""Display helpers."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from categories import publish_set
from defectsynth_pipeline.corpora.columns import COLUMNS
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures.previews import (
    contact_sheet,
    draw_real_and_generated_masks,
    draw_real_and_synthetic,
    outlined,
    to_display,
)
from defectsynth_pipeline.imaging.codec import encode_png


@pytest.mark.parametrize(
    ("array", "low", "high"),
    [
        (np.array([[False, True]]), 0, 255),
        (np.array([[7, 9]], np.uint8), 7, 9),
        (np.array([[100, 3000]], np.uint16), 0, 255),
        (np.array([[5, 5]], np.uint16), 0, 0),
    ],
)
def test_to_display(array, low, high):
    shown = to_display(array)
    assert shown.shape == (1, 2, 3)
    assert shown.dtype == np.uint8
    assert shown[0, :, 0].tolist() == [low, high]


def test_outline_lies_outside_the_mask():
    image = np.full((20, 20), 90, np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[5:9, 5:9] = True
    marked = (outlined(image, mask) != 90).any(axis=2)
    assert marked.any()
    assert not (marked & mask).any()
    assert image.max() == 90


def test_contact_sheet_keeps_order_and_aspect():
    wide = np.zeros((10, 40), np.uint8)
    tall = np.full((40, 10, 3), 128, np.uint8)
    sheet = contact_sheet([wide, tall, wide], columns=2, side=40)
    assert sheet.shape == (2 * 44, 2 * 44, 3)
    assert (sheet[22, 2:42] == 0).all()
    assert (sheet[5, 5] == 255).all()
    assert (sheet[2:42, 44 + 22] == 128).all()


def test_no_tiles():
    with pytest.raises(InputError, match="no picture"):
        contact_sheet([], columns=3)


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
    mask = np.eye(80, 200, 60, dtype=bool)

    arrays = {"image": np.full((80, 200), 99, np.uint8), "mask": mask}
    return publish_set(tmp_path / "set", plan, lambda row: arrays)


@pytest.mark.parametrize("draw", [draw_real_and_synthetic, draw_real_and_generated_masks])
def test_one_strip_per_type_with_real_beside_generated(samples, image_set, draw):
    figure = draw(samples, image_set)
    titles = [ax.get_title(loc="left").split(",")[0] for ax in figure.axes]
    assert titles == ["tile / hole: 2 real", "tile / scratch: 1 real"]
    buffer = io.BytesIO()
    figure.savefig(buffer)
    assert np.ptp(np.asarray(Image.open(buffer).convert("L"))) > 200


def test_crops_show_the_defect_and_its_outline(samples, image_set):
    strip = draw_real_and_synthetic(samples, image_set).axes[1].images[0].get_array()
    crops = strip.reshape(2, 132, 2, 132, 3).swapaxes(1, 2)
    levels = crops.astype(int)
    red = (levels[..., 0] - levels[..., 1] > 100).sum(axis=(2, 3))
    assert (red[0] == 0).all(), "the upper row is untouched"
    assert (red[1] > 50).all(), "the lower row has every mask outlined"
