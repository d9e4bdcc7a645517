from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.inspection import test_set
from defectsynth_pipeline.inspection.test_set import TestSet, real_test_rows


@pytest.fixture(scope="module")
def samples(bank: Bank) -> pd.DataFrame:
    return bank.samples


def test_all_test_images_come_with_native_truth(samples: pd.DataFrame) -> None:
    tests = TestSet(real_test_rows(samples, "mvtec", "plate"), 32, square=False)
    for _ in range(2):  # read, then kept
        for test, sample in zip(tests.images(), tests.samples, strict=True):
            assert test.sample_id == sample.sample_id
            assert test.image.shape == (24, 32, 3)
            assert np.array_equal(test.mask, sample.mask())
    assert {sample.split for sample in tests.samples} == {"test"}


def test_what_does_not_fit_in_memory_is_read_again(
    samples: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = real_test_rows(samples, "mvtec", "plate")
    kept = TestSet(rows, 48, square=False)
    monkeypatch.setattr(test_set, "KEPT_BYTES", 0)
    reread = TestSet(rows, 48, square=False)
    for _ in range(2):
        for first, second in zip(kept.images(), reread.images(), strict=True):
            assert np.array_equal(first.image, second.image)
            assert np.array_equal(first.mask, second.mask)


def test_overlays_spread_over_types(samples: pd.DataFrame) -> None:
    tests = TestSet(real_test_rows(samples, "mvtec", "plate"), 32, square=False)
    assert [sample.defect_type for sample in tests.spread(4)] == ["dent", "scratch", "good", "dent"]
    assert len(set(tests.spread(99))) == len(tests.samples)


def test_a_changed_test_file_is_noticed(samples: pd.DataFrame, tmp_path: Path) -> None:
    rows = real_test_rows(samples, "mvtec", "plate").assign(width=65)
    with pytest.raises(ValueError, match="run ingest again"):
        next(TestSet(rows, 32, square=False).images())
