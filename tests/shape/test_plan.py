from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.shape.area import area_ratio_table
from defectsynth_pipeline.shape.plan import file_safe, plan_masks
from refusals import refused
from shape.builders import disc, masks_of
from shape.conftest import WriteSamples


def plan(samples: pd.DataFrame, **options: object) -> pd.DataFrame:
    chosen = MaskOptions.model_validate(options)
    return plan_masks(samples, area_ratio_table(samples, chosen), chosen)


@pytest.fixture
def samples(write_samples: WriteSamples) -> pd.DataFrame:
    kinds = ("speck", "scratch", "crack")
    base = write_samples({kind: masks_of(kind) for kind in kinds})
    test = write_samples({"speck": masks_of("speck")}, split="test")
    return pd.concat([base, test])


def test_the_count_is_spread_evenly_or_given_to_each_type(samples: pd.DataFrame) -> None:
    assert sorted(plan(samples, count=20)["defect_type"].value_counts()) == [6, 7, 7]
    assert set(plan(samples, count=20, per="type")["defect_type"].value_counts()) == {20}


def test_ids_and_seeds_are_unique_and_reproducible(samples: pd.DataFrame) -> None:
    first, again, other = (plan(samples, count=200, seed=seed) for seed in (0, 0, 1))
    assert first["image_id"].is_unique
    assert first["seed"].is_unique
    pd.testing.assert_frame_equal(first, again)
    assert not set(first["seed"]) & set(other["seed"])


def test_parents_are_base_masks_of_the_same_type_and_test_is_never_read(
    samples: pd.DataFrame,
) -> None:
    for row in plan(samples, count=200).itertuples():
        first, second = row.parents.split("|")
        assert first != second
        assert first.split("/")[2] == second.split("/")[2] == row.defect_type
        assert "/base" in first
        assert "/base" in second
        assert 0 < row.alpha < 1


def test_pairs_come_first_then_frames_then_variations(write_samples: WriteSamples) -> None:
    samples = write_samples({"stain": masks_of("stain", 4)})
    rows = plan(samples, count=100, method="image")
    assert rows["parents"].head(6).nunique() == 6
    fresh = rows[rows["way"] == "interpolated"]
    assert not fresh.duplicated(["parents", "alpha"]).any()
    assert len(fresh) == 6 * 10
    assert set(rows["way"].tail(40)) == {"varied"}


def test_pairs_that_cannot_give_ten_masks_are_varied_sooner(write_samples: WriteSamples) -> None:
    samples = write_samples({"speck": [disc(64, 30, 30, 1), disc(64, 30, 32, 1)]})
    ways = plan(samples, count=10)["way"].tolist()
    assert ways == ["interpolated"] * 2 + ["varied"] * 8


def test_masks_have_the_commonest_size_of_the_type_within_the_limit(
    write_samples: WriteSamples,
) -> None:
    masks = [disc(80, 40, 40, 9)[:60], disc(80, 30, 40, 9)[:60], disc(64, 30, 30, 9)]
    rows = plan(write_samples({"spot": masks}), count=4)
    assert set(zip(rows["width"], rows["height"], strict=True)) == {(80, 60)}
    rows = plan(write_samples({"spot": masks}), count=4, max_side=40)
    assert set(zip(rows["width"], rows["height"], strict=True)) == {(40, 30)}


def test_named_pairs_are_the_only_ones_used(samples: pd.DataFrame) -> None:
    pairs = {"part/scratch": [("base001", "tests/part/scratch/base003")]}
    rows = plan(samples, count=60, pairs=pairs)
    scratch = rows[rows["defect_type"] == "scratch"]
    assert set(scratch["parents"]) == {"tests/part/scratch/base001|tests/part/scratch/base003"}
    assert rows[rows["defect_type"] == "speck"]["parents"].nunique() > 1


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        ({"part/nothing": [("base000", "base001")]}, "part/nothing"),
        ({"part/speck": [("base000", "base777")]}, "base777"),
        ({"part/speck": [("base000", "test001")]}, "test001"),
        ({"part/speck": [("base000", "tests/part/scratch/base001")]}, "scratch/base001"),
    ],
)
def test_wrong_names_of_pairs_are_refused(
    samples: pd.DataFrame, pairs: dict[str, list[tuple[str, str]]], value: str
) -> None:
    with refused("masks.pairs", value, "one of: "):
        plan(samples, count=9, pairs=pairs)


def test_one_mask_is_too_few_to_interpolate(write_samples: WriteSamples) -> None:
    samples = write_samples({"spot": [disc(50, 25, 25, 3)]})
    with refused("one base mask", "base_spot_000.png", "part/spot"):
        plan(samples)
    assert len(plan(samples, count=5, method="geometric")) == 5


def test_no_base_mask_at_all_is_an_error(samples: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="nothing to interpolate"):
        plan(samples[samples["split"] == "test"])


def test_names_of_types_become_different_file_names() -> None:
    names = [("a b", "c"), ("a_b", "c"), ("a", "b-c"), ("a-b", "c"), ("Teil", "Riß"), ("", "é")]
    safe = [file_safe(*name) for name in names]
    assert len(set(safe)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) for name in safe)
    assert file_safe("screw", "thread_top") == "screw-thread_top"


def test_alphas_never_reach_the_parents(samples: pd.DataFrame) -> None:
    alphas = plan(samples, count=300)["alpha"]
    assert np.isclose(alphas.min(), 1 / 11)
    assert np.isclose(alphas.max(), 10 / 11)


def test_masks_that_the_frame_cuts_on_other_sides_are_no_pair(write_samples: WriteSamples) -> None:
    rows, columns = np.indices((96, 96))
    masks = [rows < 20, rows < 30, columns < 25, columns > 60, disc(96, 48, 48, 9)]
    found = plan(write_samples({"break": masks}), count=60)["parents"]
    pairs = {tuple(int(name[-3:]) for name in pair.split("|")) for pair in found}
    # A disc may lie between itself and any of them; those cut on one side alone are alike.
    assert pairs == {(0, 1), (0, 4), (1, 4), (2, 4), (3, 4)}
    apart = plan(write_samples({"break": [masks[0], masks[2] & ~masks[0]]}), count=6)["parents"]
    assert apart.nunique() == 1


def test_cracks_are_pairs_wherever_they_run_out(write_samples: WriteSamples) -> None:
    cracks = masks_of("crack", 3)
    turned = [cracks[0], cracks[1].T, cracks[2]]
    found = plan(write_samples({"crack": turned}), count=30)["parents"]
    assert found.nunique() == 3
