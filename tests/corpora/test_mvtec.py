from __future__ import annotations

from pathlib import Path

import numpy as np

from categories import save
from defectsynth_pipeline.corpora.columns import COLUMNS
from defectsynth_pipeline.corpora.mvtec import make_mvtec_samples
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.options import IngestOptions

from .builders import blob, texture


def test_rows_of_a_category(part: Path) -> None:
    samples = make_mvtec_samples(part, "mine")

    assert samples.groupby(["defect_type", "split"]).size().to_dict() == {
        ("dent", ""): 6,
        ("scratch", ""): 6,
        ("good", "normal"): 4,
        ("good", "test"): 2,
    }
    assert samples["sample_id"].is_unique
    row = samples[samples["sample_id"] == "mine/plate/dent/003"].iloc[0]
    assert row["image"] == "plate/test/dent/003.png"
    assert row["mask"] == "plate/ground_truth/dent/003_mask.png"
    assert (row["width"], row["height"]) == (48, 48)


def test_pixels_of_a_row_are_those_of_its_files(part: Path) -> None:
    samples = make_samples(part, IngestOptions())
    row = next(r for r in samples.itertuples() if r.sample_id == "parts/plate/scratch/002")

    np.testing.assert_array_equal(Sample.of(row).image(), texture(202))
    np.testing.assert_array_equal(Sample.of(row).mask(), blob(202) > 0)
    assert list(samples.columns) == [*COLUMNS, "split_protocol", "partition"]


def test_masks_may_have_the_name_of_their_image(part: Path) -> None:
    for mask in (part / "plate" / "ground_truth" / "dent").iterdir():
        mask.rename(mask.with_name(mask.name.replace("_mask", "")))

    samples = make_mvtec_samples(part)

    assert (samples["defect_type"] == "dent").sum() == 6


def test_names_with_spaces_unicode_and_no_digits_work(part: Path) -> None:
    names = ["first one", "zweites übel", "三", "no.digits.here", "last"]
    for name in names:
        seed = len(name)
        save(part / "plate" / "test" / "Ölfleck groß" / f"{name}.png", texture(900 + seed))
        save(part / "plate" / "ground_truth" / "Ölfleck groß" / f"{name}_mask.png", blob(seed))

    samples = make_samples(part, IngestOptions(protocol="lowest_third"))
    mine = samples[samples["defect_type"] == "Ölfleck groß"]

    assert sorted(mine["sample_id"].str.rsplit("/", n=1).str[1]) == sorted(names)
    assert set(mine["split"]) == {"base", "test"}
    assert all(Sample.of(row).mask().any() for row in mine.itertuples())


def test_hidden_and_foreign_files_are_not_samples(part: Path) -> None:
    before = len(make_mvtec_samples(part))
    folder = part / "plate" / "test" / "dent"
    (folder / "._000.png").write_bytes(b"resource fork")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "readme.txt").write_text("x", encoding="utf-8")

    assert len(make_mvtec_samples(part)) == before


def test_only_the_wanted_categories_are_read(part: Path) -> None:
    save(part / "broken" / "train" / "good" / "0.png", texture(1)).write_bytes(b"")

    samples = make_mvtec_samples(part, categories=["plate"])

    assert set(samples["category"]) == {"plate"}
