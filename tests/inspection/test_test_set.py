from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.corpora.reading import load_mask
from defectsynth_pipeline.inspection import test_set
from defectsynth_pipeline.inspection.test_set import TestSet, real_test_rows

from .parts import make_bank


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return make_bank(tmp_path_factory.mktemp("bank")).samples


def test_all_test_images_come_with_native_truth(samples: pd.DataFrame) -> None:
    tests = TestSet(real_test_rows(samples, "mvtec", "plate"), 32, square=False)
    for _ in range(2):  # read, then kept
        for test, (_, row) in zip(tests, tests.rows.iterrows(), strict=True):
            assert test.sample_id == row["sample_id"]
            assert test.image.shape == (24, 32, 3)
            assert np.array_equal(test.mask, load_mask(row))
    assert set(tests.rows["split"]) == {"test"}


def test_what_does_not_fit_in_memory_is_read_again(
    samples: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = real_test_rows(samples, "mvtec", "plate")
    kept = TestSet(rows, 48, square=False)
    monkeypatch.setattr(test_set, "KEPT_BYTES", 0)
    reread = TestSet(rows, 48, square=False)
    for _ in range(2):
        for first, second in zip(kept, reread, strict=True):
            assert np.array_equal(first.image, second.image)
            assert np.array_equal(first.mask, second.mask)


def test_overlays_spread_over_types(samples: pd.DataFrame) -> None:
    tests = TestSet(real_test_rows(samples, "mvtec", "plate"), 32, square=False)
    types = [tests[index].defect_type for index in tests.spread(4)]
    assert types == ["dent", "scratch", "good", "dent"]
    assert len(set(tests.spread(99))) == len(tests)


def test_a_changed_test_file_is_noticed(samples: pd.DataFrame, tmp_path: Path) -> None:
    rows = real_test_rows(samples, "mvtec", "plate").assign(width=65)
    with pytest.raises(ValueError, match="run ingest again"):
        TestSet(rows, 32, square=False)[0]
