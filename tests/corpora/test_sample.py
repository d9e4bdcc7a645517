"""Rows of `samples` as typed objects, and the one rectangle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.imaging.codec import decode_image
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.options import IngestOptions


def test_a_sample_reads_what_its_row_says(part: Path) -> None:
    table = make_samples(part, IngestOptions())
    for sample, (_, row) in zip(each_sample(table), table.iterrows(), strict=True):
        file = part / row["image"]
        assert (sample.image() == decode_image(file.read_bytes(), file)).all()
        assert sample.mask().any() == (row["defect_type"] != "good")
        assert sample.shape == sample.mask().shape
        assert (sample.sample_id, sample.split) == (row["sample_id"], row["split"])


def test_samples_are_equal_however_the_row_was_given(part: Path, tmp_path: Path) -> None:
    table = make_samples(part, IngestOptions())
    table.to_csv(tmp_path / "samples.csv", index=False)
    text = pd.read_csv(tmp_path / "samples.csv", dtype=str, keep_default_na=False)
    series = [Sample.of(row) for _, row in table.iterrows()]
    assert list(each_sample(text)) == series == [Sample.of(row) for row in table.itertuples()]
    assert len(set(series)) == len(series)


def test_bounding_box_and_margin() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    mask[3:5, 6] = True
    assert Rectangle.around(mask) == Rectangle(3, 6, 5, 7)
    assert Rectangle.around(mask, 4) == Rectangle(0, 2, 9, 11)
    assert mask[Rectangle.around(mask).slices].all()


def test_a_rectangle_beyond_its_image_shares_a_part() -> None:
    here, there = Rectangle.at(-2, 7, 6, 6).shared((10, 12))
    image, crop = np.arange(120).reshape(10, 12), np.zeros((6, 6), dtype=int)
    crop[there] = image[here]
    assert image[here].shape == (3, 4)
    assert (crop[:3, 2:] == image[7:10, :4]).all()
    assert crop[3:].sum() == crop[:, :2].sum() == 0


def test_squares_stay_inside() -> None:
    box = Rectangle(0, 9, 2, 12)
    assert box.square(6, (10, 12)) == Rectangle(0, 6, 6, 12)
    assert box.square(40, (10, 12)) == Rectangle(0, 2, 10, 12)
