"""`TableDataset` keeps types, names and versions, and refuses what it cannot read."""

from __future__ import annotations

import inspect

import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.io.core import DatasetError, Version

from defectsynth_pipeline.datasets import TableDataset
from defectsynth_pipeline.schemas import SCHEMAS

CURVE = {"task": "localization", "corpus": "007", "category": "nan", "defect_type": "None"}
CURVE |= {"metric": "pixel_ap", "arm": "", "n": 50, "value": 0.1 + 0.2, "low": None, "high": 1.0}
CURVE |= {"seeds": 2, "worth_making": -1}
HISTORY = {
    "task": "t",
    "corpus": "c",
    "category": "NA",
    "detector": "d",
    "arm": "base",
    "seed": 0,
    "step": 1,
}


def dataset(tmp_path, table="ratio_curve", load=None, save="2026-01-01T00.00.00.000Z", **options):
    path = (tmp_path / f"{table}.csv").as_posix()
    return TableDataset(filepath=path, table=table, version=Version(load, save), **options)


def written(tmp_path, text, table="ratio_curve"):
    path = tmp_path / f"{table}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="latin-1")
    return TableDataset(filepath=path.as_posix(), table=table)


def test_names_and_missing_numbers_come_back(tmp_path):
    table = pd.DataFrame([CURVE])
    dataset(tmp_path).save(table)
    loaded = dataset(tmp_path).load()
    assert loaded.drop(columns="low").loc[0].tolist() == table.drop(columns="low").loc[0].tolist()
    assert loaded["low"].isna().all()
    types = loaded.dtypes[["n", "value", "low"]].astype(str).tolist()
    assert types == ["int64", "float64", "float64"]


def test_a_table_without_rows_keeps_its_types(tmp_path):
    dataset(tmp_path).save(pd.DataFrame(columns=list(CURVE)))
    loaded = dataset(tmp_path).load()
    assert loaded.empty
    assert loaded.columns.tolist() == list(CURVE)
    assert loaded["value"].dtype == float


def test_further_columns_are_numbers_where_the_schema_allows_them(tmp_path):
    table = pd.DataFrame([HISTORY | {"loss": 0.5, "validation": None}])
    dataset(tmp_path, "classification_history").save(table)
    loaded = dataset(tmp_path, "classification_history").load()
    assert loaded["category"].tolist() == ["NA"]
    assert loaded["validation"].isna().all()


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"value": "high"}, "column value"), ({"n": ""}, "column n"), ({"n": 1.5}, "column n")],
)
def test_what_is_no_number_is_named_with_its_column(tmp_path, changes, named):
    dataset(tmp_path).save(pd.DataFrame([CURVE | changes]))
    with pytest.raises(DatasetError, match=named) as caught:
        dataset(tmp_path).load()
    assert "ratio_curve.csv" in str(caught.value)
    assert "kedro run --pipeline=downstream" in str(caught.value)


@pytest.mark.parametrize("lost", ["partition", "split_protocol", "category"])
def test_an_older_layout_is_refused_with_its_column(tmp_path, lost):
    path = tmp_path / "samples.csv"
    names = [name for name in SCHEMAS["samples"].columns if name != lost]
    path.write_text(",".join([*names, "side"]) + "\n")
    with pytest.raises(DatasetError, match=f"no column {lost}, unknown column side") as caught:
        TableDataset(filepath=path.as_posix(), table="samples").load()
    assert path.as_posix() in str(caught.value)
    assert "kedro run --pipeline=ingest again" in str(caught.value)


def test_a_partitions_table_is_made_again_by_its_partition(tmp_path):
    path = tmp_path / "partition_1" / "samples.csv"
    path.parent.mkdir()
    path.write_text("side\n")
    with pytest.raises(DatasetError) as caught:
        TableDataset(filepath=path.as_posix(), table="samples").load()
    again = "kedro run --pipeline=partitions --namespaces=partition_1 again"
    assert again in str(caught.value)


def test_an_empty_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match="a table is empty"):
        written(tmp_path, "").load()


def test_the_latest_version_is_loaded_and_an_older_one_can_be(tmp_path):
    for day in ("01", "02"):
        day_of = dataset(tmp_path, save=f"2026-01-{day}T00.00.00.000Z")
        day_of.save(pd.DataFrame([CURVE | {"n": int(day)}]))
    assert dataset(tmp_path).load()["n"].tolist() == [2]
    assert dataset(tmp_path, load="2026-01-01T00.00.00.000Z").load()["n"].tolist() == [1]
    assert len(dataset(tmp_path).list_versions(full_path=False)) == 2


def test_a_version_that_appears_later_is_seen(tmp_path):
    first = dataset(tmp_path, save=None, optional=True)
    assert first.load().empty
    dataset(tmp_path).save(pd.DataFrame([CURVE]))
    assert len(first.load()) == 1


def test_an_optional_table_is_empty_and_said(tmp_path, caplog):
    missing = dataset(tmp_path, "localization_report", optional=True)
    assert not missing.exists()
    table = missing.load()
    assert table.empty
    assert table.columns.tolist() == list(SCHEMAS["localization_report"].columns)
    assert "localization_report.csv" in caplog.text


def test_a_missing_table_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="Did not find any versions"):
        dataset(tmp_path).load()


def test_an_unknown_table_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="ratio_curve"):
        dataset(tmp_path, "ratio_curves")


@pytest.mark.parametrize("cut", [3, 40])
def test_a_cut_row_is_named(tmp_path, cut):
    dataset(tmp_path).save(pd.DataFrame([CURVE, CURVE | {"worth_making": 123}]))
    whole = next(tmp_path.rglob("ratio_curve.csv/*/*.csv")).read_text()
    with pytest.raises(DatasetError, match="a row of a table is cut") as caught:
        written(tmp_path / "cut", whole[:-cut]).load()
    assert "row 3 of 3" in str(caught.value)
    assert "kedro run --pipeline=downstream" in str(caught.value)


@pytest.mark.parametrize("text", ['a,"b\n', "\0\0\0", "\x80"])
def test_what_is_no_csv_is_named(tmp_path, text):
    with pytest.raises(DatasetError, match=r"(?s)ratio_curve\.csv.*remedy"):
        written(tmp_path, text).load()


def test_the_preview_goes_from_the_first_row_to_the_last(tmp_path):
    rows = [CURVE | {"n": number, "value": number / 7} for number in range(5)]
    dataset(tmp_path).save(pd.DataFrame(rows))
    preview = dataset(tmp_path).preview(nrows=3)
    assert preview["columns"] == list(CURVE)
    chosen = dataset(tmp_path).preview(rows="n > 0", columns=["n", "value"], nrows=2)
    assert chosen["data"] == [[1, 0.1429], [4, 0.5714]]
    assert [row[preview["columns"].index("n")] for row in preview["data"]] == [0, 2, 4]


def test_kedro_viz_recognises_the_annotation():
    annotation = inspect.signature(TableDataset.preview).return_annotation
    assert getattr(annotation, "__name__", annotation) == "TablePreview"


def test_from_a_catalog(tmp_path):
    entry = {
        "type": "defectsynth_pipeline.datasets.TableDataset",
        "table": "{task}_report",
        "filepath": f"{tmp_path.as_posix()}/{{task}}_report.csv",
        "versioned": True,
        "metadata": {"kedro-viz": {"layer": "reporting"}},
    }
    catalog = DataCatalog.from_config({"{task}_report": entry})
    report = catalog["localization_report"]
    assert report.metadata["kedro-viz"]["layer"] == "reporting"
    assert "localization_report.csv" in str(report)
