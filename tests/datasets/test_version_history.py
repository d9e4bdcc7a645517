"""`VersionHistoryDataset` reads what a versioned CSV entry wrote."""

from __future__ import annotations

import pandas as pd
import pytest
from kedro.io.core import DatasetError, Version
from kedro_datasets.pandas import CSVDataset

from defectsynth_pipeline.datasets import VersionHistoryDataset


@pytest.fixture
def filepath(tmp_path):
    return (tmp_path / "report.csv").as_posix()


def write(filepath, version, **columns):
    dataset = CSVDataset(
        filepath=filepath, version=Version(None, version), save_args={"index": False}
    )
    dataset.save(pd.DataFrame(columns))


@pytest.fixture
def history(filepath):
    write(filepath, "2026-01-01T00.00.00.000Z", category=["007"], value=[0.25])
    write(filepath, "2026-01-02T00.00.00.000Z", category=["007", "nan"], value=[0.5, None])
    return filepath


LOAD_ARGS = {"keep_default_na": False, "na_values": [""], "dtype": {"category": str}}


def test_all_versions_are_loaded_oldest_first(history):
    table = VersionHistoryDataset(filepath=history, load_args=LOAD_ARGS).load()
    assert table["version"].str[:10].tolist() == ["2026-01-01", "2026-01-02", "2026-01-02"]
    assert table["category"].tolist() == ["007", "007", "nan"]
    assert table["value"].tolist()[:2] == [0.25, 0.5]
    assert table["value"].isna().tolist() == [False, False, True]


def test_a_version_that_appears_later_is_seen(history):
    dataset = VersionHistoryDataset(filepath=history)
    dataset.load()
    write(history, "2026-01-03T00.00.00.000Z", category=["x"], value=[1.0])
    assert dataset.load()["version"].nunique() == 3


def test_columns_may_differ_between_versions(history):
    write(history, "2026-01-03T00.00.00.000Z", category=["x"], partition=[1])
    table = VersionHistoryDataset(filepath=history).load()
    assert table["partition"].isna().tolist() == [True, True, True, False]


def test_a_version_without_rows_changes_no_types(history):
    write(history, "2026-01-03T00.00.00.000Z", category=[], value=[])
    table = VersionHistoryDataset(filepath=history).load()
    assert table["value"].dtype == float
    assert len(table) == 3


def test_only_versions_without_rows_keep_their_columns(filepath):
    write(filepath, "2026-01-03T00.00.00.000Z", category=[], value=[])
    table = VersionHistoryDataset(filepath=filepath).load()
    assert table.empty
    assert table.columns.tolist() == ["category", "value", "version"]


def test_no_version_is_an_empty_table_and_said(filepath, caplog):
    dataset = VersionHistoryDataset(filepath=filepath)
    assert not dataset.exists()
    table = dataset.load()
    assert table.empty
    assert table.columns.tolist() == ["version"]
    assert "report.csv" in caplog.text


def test_a_broken_version_is_named(history, tmp_path):
    broken = tmp_path / "report.csv" / "2026-01-03T00.00.00.000Z" / "report.csv"
    broken.parent.mkdir()
    broken.touch()
    with pytest.raises(DatasetError, match="2026-01-03"):
        VersionHistoryDataset(filepath=history).load()


def test_it_is_read_only(history):
    with pytest.raises(DatasetError, match="read only"):
        VersionHistoryDataset(filepath=history).save(pd.DataFrame({"value": [1]}))


def test_the_preview_ends_with_the_newest(history):
    preview = VersionHistoryDataset(filepath=history).preview(nrows=1)
    assert len(preview["data"]) == 1
    assert preview["data"][0][-1].startswith("2026-01-02")


def test_description_names_the_path(history):
    dataset = VersionHistoryDataset(filepath=history)
    assert history in str(dataset)
    assert dataset.exists()
