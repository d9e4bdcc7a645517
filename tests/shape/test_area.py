from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.shape.area import (
    area_ratio_table,
    count_distinct,
    distinct_frames,
    mask_capacity,
)
from defectsynth_pipeline.shape.geometry import measure
from refusals import refused
from shape.builders import crack, disc, masks_of
from shape.conftest import WriteSamples


def test_a_row_per_type_of_the_base_masks_only(write_samples: WriteSamples) -> None:
    base = write_samples({"spot": [disc(50, 25, 25, 3), disc(50, 20, 20, 5)]})
    test = write_samples({"spot": [disc(50, 25, 25, 20)]}, split="test")
    table = area_ratio_table(pd.concat([base, test]), MaskOptions())
    ratios = [disc(50, 25, 25, 3).mean(), disc(50, 20, 20, 5).mean()]
    row = table.iloc[0]
    assert len(table) == 1
    assert (row["category"], row["defect_type"], row["n_masks"]) == ("part", "spot", 2)
    assert row["n_groups"] == 2
    assert area_ratio_table(base.assign(group="one"), MaskOptions())["n_groups"].tolist() == [1]
    assert row["mean_area_ratio"] == pytest.approx(np.mean(ratios))
    assert (row["min_area_ratio"], row["max_area_ratio"]) == pytest.approx(tuple(ratios))
    assert (row["tau"], row["mask_capacity"]) == (0.053, 10)


def test_tau_itself_is_latent(write_samples: WriteSamples) -> None:
    masks = [np.zeros((100, 100), dtype=bool) for _ in range(2)]
    masks[0][:53, :10] = masks[1][:53, 10:20] = True
    samples = write_samples({"stain": masks})
    table = area_ratio_table(samples, MaskOptions(tau=0.053))
    assert table["space"].tolist() == ["latent"]
    assert area_ratio_table(samples, MaskOptions(tau=0.0531))["space"].tolist() == ["image"]
    assert area_ratio_table(samples, MaskOptions(method="perlin"))["space"].tolist() == ["perlin"]


def test_cracks_are_branching_and_stains_are_not(write_samples: WriteSamples) -> None:
    samples = write_samples({"crack": [crack(0), crack(1)], "stain": masks_of("stain")})
    assert area_ratio_table(samples, MaskOptions())["branching"].tolist() == [True, False]


def test_an_empty_mask_is_refused(write_samples: WriteSamples) -> None:
    samples = write_samples({"spot": [disc(50, 25, 25, 3), np.zeros((50, 50), dtype=bool)]})
    with refused("empty", "base_spot_001.png", "remedy"):
        area_ratio_table(samples, MaskOptions())


@pytest.mark.parametrize(("masks", "expected"), [(0, 0), (1, 0), (2, 10), (3, 30), (10, 450)])
def test_capacity_is_pairs_times_frames(masks: int, expected: int) -> None:
    assert mask_capacity(masks, 10) == expected


def test_frames_between_equal_specks_are_one() -> None:
    speck = measure(disc(20, 10, 10, 1))
    assert distinct_frames(speck, speck, 10) == 1
    assert distinct_frames(speck, measure(disc(20, 10, 14, 1)), 10) == 4
    assert distinct_frames(speck, measure(disc(20, 10, 10, 6)), 10) == 10


def test_distinct_masks_are_counted_by_shape_and_content() -> None:
    zeros = np.zeros((4, 4), dtype=bool)
    assert count_distinct([zeros, zeros.copy(), ~zeros, np.zeros((2, 8), dtype=bool)]) == 3
