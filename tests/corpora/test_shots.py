"""A few base images per type: nested, different parts first; nothing else of the split moves."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from categories import write_category
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.corpora.shots import keep_shots
from defectsynth_pipeline.corpora.split import assert_no_test
from defectsynth_pipeline.options import IngestOptions
from refusals import refused

from .builders import blob, texture


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """A category of two types with twelve images each, so that four are base."""
    masks = dict.fromkeys(("dent", "scratch"), lambda seed: blob(seed) > 0)
    names = [f"{index:03d}" for index in range(12)]
    return write_category(tmp_path / "parts" / "plate", texture, masks, defective=names)


def _base(parts: str, *, defect_type: str = "dent") -> pd.DataFrame:
    """Base samples of one type, a letter per sample that names its part."""
    names = [f"c/part/{defect_type}/{number}" for number in range(len(parts))]
    table = pd.DataFrame({"sample_id": names, "image": names, "group": list(parts)})
    return table.assign(
        root="/c", corpus="c", category="part", defect_type=defect_type, split="base"
    )


def _parts(samples: pd.DataFrame, shots: int, seed: int = 0) -> list[str]:
    result = keep_shots(samples, shots, seed)
    return sorted(result.loc[result["split"] == "base", "group"])


def _ids(samples: pd.DataFrame, split: str, column: str = "sample_id") -> set[str]:
    return set(samples.loc[samples["split"] == split, column])


@pytest.mark.parametrize("seed", range(5))
def test_fewer_shots_are_among_more(seed: int) -> None:
    samples = _base("aabcccdefffg")
    kept = [_ids(keep_shots(samples, shots, seed), "base") for shots in (2, 3, 5, 8, 12, 40)]

    assert [len(ids) for ids in kept] == [2, 3, 5, 8, 12, 12]
    assert all(fewer <= more for fewer, more in pairwise(kept))


@pytest.mark.parametrize("seed", range(5))
def test_different_parts_come_first(seed: int) -> None:
    samples = _base("aaabbbcccddd")

    assert len(set(_parts(samples, 3, seed))) == 3
    six = pd.Series(_parts(samples, 6, seed)).value_counts()
    assert six.tolist() == [2, 2, 1, 1]


def test_the_cap_takes_different_parts_too(part: Path) -> None:
    for folder, suffix in (("test", ""), ("ground_truth", "_mask")):
        for path in sorted((part / "plate" / folder / "dent").iterdir()):
            number = int(path.name[:3])
            path.rename(path.with_name(f"{number // 3}_{number % 3}{suffix}.png"))
    options = IngestOptions(base_share=1.0, max_base=2, group_by=r"^(\d)_", defect_types=["dent"])
    samples = make_samples(part, options)

    kept = samples[samples["split"] == "base"]
    assert len(kept) == kept["group"].nunique() == 2
    assert (samples["split"] == "unused").sum() == 4


def test_another_seed_takes_other_parts_and_the_order_of_rows_none() -> None:
    samples = _base("abcdefghijkl")

    assert len({tuple(_parts(samples, 3, seed)) for seed in range(6)}) > 3
    shuffled = samples.sample(frac=1, random_state=1)
    assert _parts(shuffled, 3) == _parts(samples, 3)


def test_types_that_share_parts_keep_the_same_ones() -> None:
    both = pd.concat([_base("abcdefgh"), _base("abcdefgh", defect_type="burr")], ignore_index=True)
    result = keep_shots(both, 3, 0)
    kept = result[result["split"] == "base"]

    assert kept["defect_type"].value_counts().to_dict() == {"dent": 3, "burr": 3}
    assert kept["group"].nunique() == 3


@pytest.mark.parametrize(
    ("protocol", "partition"), [("random_third", 0), ("random_third", 2), ("lowest_third", 0)]
)
def test_the_surplus_is_unused_and_the_test_set_stays(
    plates: Path, protocol: Any, partition: int
) -> None:
    options = IngestOptions(protocol=protocol, partition=partition)
    whole = make_samples(plates, options)
    few = make_samples(plates, options.model_copy(update={"shots": 3}))

    pd.testing.assert_frame_equal(whole.drop(columns="split"), few.drop(columns="split"))
    assert _ids(few, "test") == _ids(whole, "test")
    assert _ids(few, "base") < _ids(whole, "base")
    assert _ids(few, "normal") == _ids(whole, "normal")
    assert few.loc[few["split"] == "base", "defect_type"].value_counts().tolist() == [3, 3]


def test_what_is_derived_from_the_surplus_is_left_out_with_it(cracks: Path) -> None:
    samples = make_samples(cracks, IngestOptions(base_share=1.0, shots=3))

    assert _ids(samples, "normal", "image") == _ids(samples, "base", "image")
    assert samples["split"].value_counts().to_dict() == {"unused": 12, "base": 3, "normal": 3}


def test_windows_of_a_file_with_a_kept_defect_stay_normal(welds: Path) -> None:
    samples = make_samples(welds, IngestOptions(base_share=1.0, shots=2))

    files = _ids(samples, "base", "image")
    assert len(files) == 2
    assert _ids(samples, "normal", "image") == files
    assert (samples[samples["split"] == "unused"]["defect_type"] == "defect").sum() == 8


def test_two_copies_of_a_base_image_are_one_shot(part: Path) -> None:
    for folder, suffix in (("test", ""), ("ground_truth", "_mask")):
        dents = part / "plate" / folder / "dent"
        shutil.copy(dents / f"001{suffix}.png", dents / f"007{suffix}.png")
    samples = make_samples(part, IngestOptions(base_share=1.0, shots=5))

    assert (samples[samples["defect_type"] == "dent"]["split"] == "base").sum() == 5


def test_normals_that_went_with_the_surplus_are_missed_by_name(cracks: Path) -> None:
    for folder in ("train_lab", "test_lab"):
        for path in sorted((cracks / folder).iterdir())[1:]:
            mask = Image.open(path).convert("L").point(lambda level: 255 * (level > 127))
            mask.paste(255, (0, 0, 10, 64))  # too large to be removed
            mask.save(path)
    options = IngestOptions(base_share=1.0, shots=2)
    seeds = [options.model_copy(update={"seed": seed}) for seed in range(12)]

    with refused("pavement has no normal images", remedy="raise ingest.shots above 2"):
        for tried in seeds:
            make_samples(cracks, tried)


def test_a_left_out_image_may_reach_nothing(plates: Path) -> None:
    samples = make_samples(plates, IngestOptions(shots=2))
    used = samples["split"].isin(["base", "normal"])
    assert_no_test(samples, samples.loc[used, "sha256"], "the generator")

    left = samples[samples["split"] == "unused"].iloc[0]
    with refused("an unused image reached the generator", left["sample_id"]):
        assert_no_test(samples, [left["sha256"]], "the generator")
