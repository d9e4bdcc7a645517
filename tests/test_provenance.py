"""One generated file in hand says what it is, and nothing of the photographs it is from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from categories import publish_job
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.codec import decode_image, encode_png
from defectsynth_pipeline.provenance import named_plan, read_png_text, source_licences
from defectsynth_pipeline.rendering import ImageSetJob, Rendered

PLAN = pd.DataFrame({"image_id": ["a", "b"], "mask": ["m1", "m2"], "seed": [1, 2]})
PLAN = PLAN.assign(background=["good/1", "good/2"], reference="bad/1")
SAMPLES = pd.DataFrame({"sample_id": ["good/1", "good/2", "bad/1", "bad/2"]})
MASKS = pd.DataFrame({"image_id": ["m1", "m2"], "parents": ["bad/1", "bad/1|bad/2"]})
LICENCES = ["CC BY 4.0", "", "© Müller 板", "CC0"]


def make(folder: Path, key: str, samples: pd.DataFrame) -> ImageSet:
    plan = named_plan(PLAN, key)

    def render(rows):
        for row in rows.itertuples():
            image = np.full((3, 4, 3), row.seed, np.uint16)
            yield Rendered(row.image_id, {"image": image, "mask": image[..., 0] > 1})

    job = ImageSetJob(key, plan, render, licences=source_licences(samples, MASKS))
    return publish_job(job, folder)


def test_an_image_and_its_mask_say_what_they_are(tmp_path):
    images = make(tmp_path, "0123456789abcdef", SAMPLES.assign(licence=LICENCES))
    assert images.manifest["image_id"].tolist() == ["01234567-a", "01234567-b"]
    assert images.manifest["planned"].tolist() == ["a", "b"]
    for row in images.manifest.itertuples():
        told = [read_png_text(images.root / f"{n}s/{row.image_id}.png") for n in ("image", "mask")]
        assert told[0] == told[1]
        assert told[0]["Description"].startswith("synthetic")
        assert told[0]["Set"] == row.of_set == "0123456789abcdef"
        assert (told[0]["Image"], told[0]["Plan row"]) == (row.image_id, row.plan_row)
        assert told[0]["Licence"] == row.licence
    assert images.manifest["plan_row"].is_unique
    assert images.manifest["licence"].tolist() == [
        "CC BY 4.0; © Müller 板",
        "CC0; unknown; © Müller 板",
    ]


def test_without_licences_they_are_unknown(tmp_path):
    assert set(make(tmp_path, "f00d", SAMPLES).manifest["licence"]) == {"unknown"}


def test_ids_repeat_in_the_same_set_alone(tmp_path):
    names = [set(named_plan(PLAN, key)["image_id"]) for key in ("aaaaaaaa1", "bbbbbbbb1")]
    assert names[0].isdisjoint(names[1])
    first, second = (make(tmp_path / name, "aaaaaaaa1", SAMPLES) for name in "12")
    files = [
        {p.relative_to(made.root): p.read_bytes() for p in made.root.rglob("*.*")}
        for made in (first, second)
    ]
    assert files[0] == files[1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)])
def test_text_changes_no_pixel(tmp_path, rng, dtype, shape):
    picture = rng.integers(0, 255, shape).astype(dtype)
    path = tmp_path / "x.png"
    path.write_bytes(encode_png(picture, {"Licence": "板", "Set": "x"}))
    assert np.array_equal(decode_image(path.read_bytes(), path), picture)
    with Image.open(path) as image:
        assert image.text == {"Licence": "板", "Set": "x"}


@pytest.mark.parametrize("content", [b"", b"not a PNG", encode_png(np.zeros((2, 2), bool))])
def test_a_file_of_another_kind(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.png"):
        read_png_text(path)
