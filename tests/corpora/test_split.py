from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.corpora.split import assert_no_test, assign_split, folds_of
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions
from refusals import refused


def _table(count: int, *, per_group: int = 1, defect_type: str = "dent") -> pd.DataFrame:
    kind = f"c/part/{defect_type}"
    names = [(f"{kind}/{index}", f"{kind}/g{index // per_group}") for index in range(count)]
    table = pd.DataFrame(names, columns=["sample_id", "group"])
    return table.assign(corpus="c", category="part", defect_type=defect_type, split="")


def _base(samples: pd.DataFrame, **options: object) -> set[str]:
    result = assign_split(samples, IngestOptions(**options))  # type: ignore[arg-type]
    return set(result.loc[result["split"] == "base", "sample_id"])


@pytest.mark.parametrize(("count", "per_group"), [(6, 1), (23, 1), (90, 1), (24, 3), (30, 2)])
def test_partitions_are_disjoint_thirds(count: int, per_group: int) -> None:
    samples = _table(count, per_group=per_group)
    parts = [_base(samples, partition=p) for p in range(3)]

    assert set().union(*parts) == set(samples["sample_id"])
    assert sum(map(len, parts)) == count
    assert max(map(len, parts)) - min(map(len, parts)) <= per_group


def test_random_third_is_random_and_repeatable() -> None:
    samples = _table(30)

    assert _base(samples) == _base(samples)
    assert _base(samples) != _base(samples, seed=1)
    assert _base(samples) != _base(samples, protocol="lowest_third")
    assert _base(samples.sample(frac=1, random_state=0)) == _base(samples)


def test_lowest_third_goes_by_natural_order() -> None:
    expected = {f"c/part/dent/{index}" for index in range(4)}

    assert _base(_table(12), protocol="lowest_third") == expected


def test_another_type_does_not_reshuffle_the_first() -> None:
    dents = _table(20)
    both = pd.concat([_table(9, defect_type="burr"), dents], ignore_index=True)

    assert _base(dents) == {name for name in _base(both) if "/dent/" in name}


def test_base_share_and_cap() -> None:
    assert len(_base(_table(20), base_share=0.5)) == 10
    assert len(_base(_table(20), base_share=1.0)) == 20
    assert len(_base(_table(120))) == 30
    assert len(_base(_table(120), max_base=12)) == 12
    result = assign_split(_table(120), IngestOptions())
    assert (result["split"] == "test").sum() == 90


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("partition", [0, 1, 2])
def test_small_types_have_two_in_the_base(count: int, partition: int) -> None:
    assert len(_base(_table(count), partition=partition)) == 2


def test_groups_stay_on_one_side() -> None:
    result = assign_split(_table(31, per_group=4), IngestOptions())

    assert (result.groupby("group")["split"].nunique() == 1).all()


def test_the_cap_counts_groups_and_the_base_has_two_of_three() -> None:
    def groups(count: int, **options: int) -> set[str]:
        samples = _table(count, per_group=20)
        result = assign_split(samples, IngestOptions(**options))  # type: ignore[arg-type]
        return set(result.loc[result["split"] == "base", "group"])

    assert len(groups(240, max_base=3)) == 3
    assert len(groups(240)) == 4
    assert len(groups(60)) == 2
    assert len(groups(40)) == 1


def test_derived_good_samples_follow_their_group() -> None:
    good = _table(9)
    good["defect_type"] = "good"
    good["sample_id"] = good["sample_id"].str.replace("dent", "good")
    result = assign_split(pd.concat([_table(9), good], ignore_index=True), IngestOptions())

    sides = result.groupby("group")["split"].apply(lambda s: tuple(sorted(s)))
    assert set(sides) == {("base", "normal"), ("test", "test")}


def test_lowest_ids_are_kept_when_defects_are_limited(cracks: Path, part: Path) -> None:
    samples = make_samples(part, IngestOptions(max_defects=3))
    names = samples.loc[samples["defect_type"] == "dent", "sample_id"].str[-3:]
    assert names.tolist() == ["000", "001", "002"]
    assert (samples["defect_type"] == "good").sum() == 6

    limited = make_samples(cracks, IngestOptions(max_defects=4))
    assert limited["defect_type"].value_counts().to_dict() == {"crack": 4, "good": 4}


def test_guard_raises_on_a_test_image_only(part: Path) -> None:
    samples = make_samples(part, IngestOptions())
    allowed = samples.loc[samples["split"] != "test", "sha256"]
    assert_no_test(samples, allowed, "the generator")

    leaked = samples[samples["split"] == "test"].iloc[3]
    with refused("the generator", leaked["sample_id"], leaked["sha256"], "remedy"):
        assert_no_test(samples, [allowed.iloc[0], leaked["sha256"]], "the generator")


def test_one_image_in_train_and_test(part: Path) -> None:
    root = part / "plate"
    shutil.copy(root / "train" / "good" / "001.png", root / "test" / "good" / "009.png")

    with refused("train/good/001.png", "test/good/009.png", "normal", "remedy"):
        make_samples(part, IngestOptions())


def test_one_defect_across_base_and_test(part: Path) -> None:
    folder, masks = part / "plate" / "test" / "dent", part / "plate" / "ground_truth" / "dent"
    shutil.copy(folder / "000.png", folder / "099.png")
    shutil.copy(masks / "000_mask.png", masks / "099_mask.png")

    with pytest.raises(InputError, match=r"000.png and (.|\n)*099.png(.|\n)*base plate/dent"):
        make_samples(part, IngestOptions(protocol="lowest_third"))


def test_one_picture_in_two_formats_is_recognised(part: Path) -> None:
    root = part / "plate"
    with Image.open(root / "test" / "dent" / "002.png") as image:
        image.save(root / "train" / "good" / "copy.bmp")

    with pytest.raises(InputError, match=r"copy.bmp|002.png"):
        make_samples(part, IngestOptions())


def test_a_repeated_normal_is_left_out(part: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = part / "plate" / "train" / "good"
    before = make_samples(part, IngestOptions())
    shutil.copy(good / "001.png", good / "009.png")

    after = make_samples(part, IngestOptions())

    pd.testing.assert_frame_equal(before, after)
    assert "009.png repeats" in caplog.text


def test_duplicates_that_leave_one_base_mask(part: Path) -> None:
    root = part / "plate"
    for index in range(1, 6):
        shutil.copy(root / "test" / "dent" / "000.png", root / "test" / "dent" / f"00{index}.png")

    with pytest.raises(InputError, match="only one base image"):
        make_samples(part, IngestOptions(base_share=1.0))


def test_split_is_decided_for_every_row(demo: Path) -> None:
    samples = make_samples(demo, IngestOptions())

    assert set(samples["split"]) == {"base", "test", "normal"}
    base = samples[samples["split"] == "base"].groupby(["category", "defect_type"]).size()
    assert base.min() >= 5
    test = samples["split"] == "test"
    assert not set(samples.loc[test, "group"]) & set(samples.loc[~test, "group"])


def test_folds_keep_groups_together_and_a_lone_group_apart() -> None:
    def sample(number: int, defect_type: str, group: str) -> Sample:
        named = dict.fromkeys(Sample.__dataclass_fields__, "")
        told = {"sample_id": str(number), "defect_type": defect_type, "group": group}
        return Sample(**{**named, **told})

    several = [sample(n, "dent", group) for n, group in enumerate("aabbc")]
    lone = [sample(n, "scratch", "d") for n in range(5, 8)]
    folds = folds_of([*several, *lone], 10)
    assert folds[0] == folds[1] != folds[2] == folds[3] != folds[4]
    assert len(set(folds[5:])) == 3
    assert folds_of(several, 2) == [0, 0, 1, 1, 0]


def test_types_of_one_size_are_shuffled_differently() -> None:
    both = pd.concat([_table(30), _table(30, defect_type="scratch")], ignore_index=True)
    numbers: dict[str, set[str]] = {"dent": set(), "scratch": set()}
    for name in _base(both):
        _, _, kind, number = name.split("/")
        numbers[kind].add(number)
    assert numbers["dent"] != numbers["scratch"]


@pytest.mark.parametrize("partition", [0, 1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_a_group_keeps_its_side_whatever_type_comes_after(partition: int, seed: int) -> None:
    first = _table(12)
    shared = first.head(6).assign(defect_type="scratch")
    shared["sample_id"] += "/again"
    both = pd.concat([first, shared, _table(6, defect_type="scratch")], ignore_index=True)
    alone = _base(first, partition=partition, seed=seed)
    together = _base(both, partition=partition, seed=seed)
    assert {name for name in together if name in set(first["sample_id"])} == alone


def test_good_shots_lie_on_their_parts_side_and_are_normal_elsewhere() -> None:
    dents = _table(9)
    base = _base(dents)
    sides = [dents["sample_id"].isin(base), ~dents["sample_id"].isin(base)]
    shots = pd.concat([dents[side].head(1) for side in sides], ignore_index=True)
    own = shots.head(1).assign(group="c/part/good/0")
    good = pd.concat([shots, own], ignore_index=True).assign(defect_type="good")
    good["sample_id"] = ["of_base", "of_test", "of_none"]
    result = assign_split(pd.concat([dents, good], ignore_index=True), IngestOptions())
    split = result.set_index("sample_id")["split"]
    told = [split["of_base"], split["of_test"], split["of_none"]]
    assert told == ["normal", "test", "normal"]
