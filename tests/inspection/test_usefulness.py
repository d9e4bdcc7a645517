"""What an engine's images are worth: the measure itself, with what must help and what must not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.appearance.engines import Tried
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.corpora.split import folds_of
from defectsynth_pipeline.inspection.usefulness import (
    ALL,
    FOLDS,
    MOVED,
    REAL,
    cells_of,
    usefulness,
)


@pytest.fixture(scope="module")
def real(samples: pd.DataFrame) -> list[Sample]:
    return [*each_sample(samples[samples["split"] == "base"].sort_values("sample_id"))]


@pytest.fixture(scope="module")
def good(samples: pd.DataFrame) -> list[Sample]:
    return [*each_sample(samples[samples["split"] == "normal"])]


def the_real_thing(real: list[Sample], accepted: bool = True) -> Iterator[Tried]:
    """As good as an engine could be: the very images that are held out."""
    for sample, fold in zip(real, folds_of(real, FOLDS), strict=True):
        pictures = sample.image(), sample.mask()
        yield Tried(sample.defect_type, "oracle", fold, accepted, *pictures)


def measured(real: list[Sample], good: list[Sample], trials: Iterable[Tried], seed: int = 0):
    return usefulness(real, good, folds_of(real, FOLDS), trials, seed)


def test_the_real_thing_helps_and_moved_masks_do_not(
    real: list[Sample], good: list[Sample]
) -> None:
    table = measured(real, good, the_real_thing(real)).set_index(["candidate", "defect_type"])
    assert set(table.index.levels[0]) == {REAL, "oracle", ALL, MOVED}
    assert table.loc["oracle", "ap"].min() > 0.95
    assert (table.loc[MOVED, "gain"] < -0.02).all()
    np.testing.assert_allclose(table.loc[REAL, "gain"], 0)
    assert (table["images"] == 3).all()


def test_what_is_not_accepted_teaches_nothing(real: list[Sample], good: list[Sample]) -> None:
    table = measured(real, good, the_real_thing(real, accepted=False))
    assert set(table["candidate"]) == {REAL}


def test_it_is_the_same_twice(real: list[Sample], good: list[Sample]) -> None:
    first, second = (measured(real, good, the_real_thing(real), seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_a_type_of_one_part_is_not_measured(real: list[Sample], good: list[Sample]) -> None:
    few = [sample for sample in real if sample.defect_type == real[0].defect_type][:1]
    assert measured(few, good, []).empty


def test_a_mask_thinner_than_a_cell_keeps_its_fullest_cells() -> None:
    image, mask = np.full((64, 96, 3), 90, np.uint8), np.zeros((64, 96), bool)
    mask[10, 5:80] = True
    cells = cells_of(image, mask)
    assert cells.features.shape == (16 * 24, 192)
    assert 0 < cells.cover.max() < 0.5
