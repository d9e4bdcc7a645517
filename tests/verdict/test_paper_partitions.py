"""Which numbers of the partitions enter a table, and that what is missing is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.schemas import empty_table, read_table
from defectsynth_pipeline.verdict.paper_tables import make_paper_tables, numbers_of
from verdict.measured import paper_report


def report(partition=0, *, value=0.5, **changes):
    """One run's report of one category, `value` higher by 0.1 with every arm."""
    numbers = {("mvtec", "screw"): value}
    return paper_report("classification", numbers, partition=partition, **changes)


def tables(*reports):
    return make_paper_tables(*reports, empty_table("localization_report"))


def viii(*reports, category="screw"):
    """The category's row of Table VIII."""
    return tables(*reports)[0].set_index("category").loc[category]


def note(*reports):
    return viii(*reports)["note"]


def test_the_mean_is_over_three_partitions():
    row = viii(report(0, value=0.2), report(1, value=0.3), report(2, value=0.7))
    assert row["base.accuracy"] == pytest.approx(40)
    assert row["defectsynth.accuracy"] == pytest.approx(50)
    assert row["partitions"] == "0+1+2"
    assert row["note"] == ""


def test_a_partition_that_was_not_run_is_named():
    reports = report(0), report(2)
    assert viii(*reports)["partitions"] == "0+2"
    assert note(*reports) == "partition 1 not run"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": 300}, "steps 150 and 300"),
        ({"set_size": 1000}, "set_size 300 and 1000"),
        ({"weights": "ImageNet, torch cache"}, "weights from scratch and ImageNet, torch cache"),
        ({"seeds": 3}, "seeds 2 and 3"),
        ({"selected": "validation"}, "selected last and validation"),
        ({"split_protocol": "lowest_third"}, "split_protocol random_third and lowest_third"),
    ],
)
def test_other_settings_are_refused_and_named(changes, reason):
    with pytest.raises(InputError, match=f"mvtec/screw: {reason}") as caught:
        tables(report(0), report(1, **changes), report(2))
    assert "kedro run --pipeline=partitions" in str(caught.value)


def test_sizes_may_differ_by_what_a_partition_makes():
    assert viii(report(0, set_size=301, steps=151), report(1), report(2))["partitions"] == "0+1+2"


def test_the_lowest_third_is_one_partition_and_counts_once():
    same = [report(number, split_protocol="lowest_third", value=0.6) for number in range(3)]
    row = viii(*same)
    assert row["base.accuracy"] == pytest.approx(60)
    assert (row["partitions"], row["note"]) == ("0", "")
    assert len(numbers_of(same)) == 4
    assert viii(*same[:1]).equals(row)


def test_a_category_of_one_partition_only_keeps_its_numbers():
    both = report(0), report(1, category="tile", steps=900)
    assert viii(*both)["base.accuracy"] == pytest.approx(50)
    assert tables(*both)[0]["category"].tolist()[:2] == ["screw", "tile"]


def test_an_arm_of_one_partition_only_is_named():
    said = note(report(0, arms=("base", "cutpaste")), report(1, arms=("base",)), report(2))
    assert "accuracy not in every partition: cutpaste, defectsynth" in said


def test_an_undefined_metric_is_named_and_not_averaged():
    first = report()
    first.loc[first["metric"] == "macro_f1", "value"] = np.nan
    row = viii(first)
    assert "macro_f1 not in every partition: base, defectsynth" in row["note"]
    assert np.isnan(row["base.macro_f1"])
    assert row["base.accuracy"] == pytest.approx(50)


def test_a_number_that_one_partition_lacks_is_named():
    second = report(1, value=0.9)
    second.loc[0, "value"] = np.nan
    row = viii(report(0), second, report(2))
    assert row["note"] == "accuracy not in every partition: base"
    assert row["base.accuracy"] == pytest.approx(50)


def test_only_rows_of_a_whole_category_and_a_single_arm_enter():
    others = [report(value=0.0, defect_type="scratch"), report(value=0.0, against="base")]
    row = viii(pd.concat([report(value=0.5), *others], ignore_index=True))
    assert row["base.accuracy"] == pytest.approx(50)


def test_the_fields_habit_is_an_arm_of_its_own():
    row = viii(pd.concat([report(), report(value=0.9, selected="legacy_best_test")]))
    assert row["base.accuracy"] == pytest.approx(50)
    assert row["base (best test checkpoint).accuracy"] == pytest.approx(90)


def test_reports_as_their_csvs_give_them(tmp_path):
    path = tmp_path / "report.csv"
    whole = empty_table("classification_report").columns
    report().reindex(columns=whole).fillna({"note": ""}).fillna(0).to_csv(path, index=False)
    assert viii(read_table(path, "classification_report"))["base.accuracy"] == pytest.approx(50)


def test_no_report_gives_no_numbers():
    assert numbers_of([empty_table("classification_report")] * 3).empty


def test_the_papers_detectors_enter_where_they_were_trained():
    mine = report(value=0.9, arms=("base", "crop_paste", "defectsynth"))
    paper = report(value=0.2, role="paper", detector="resnet34", seeds=1)
    beside = report(1, value=0.5)
    row = viii(pd.concat([mine, paper], ignore_index=True))
    assert (row["base.accuracy"], row["defectsynth.accuracy"]) == pytest.approx((20, 30))
    assert "crop_paste.accuracy" not in row
    assert viii(beside)["base.accuracy"] == pytest.approx(50)
    with pytest.raises(InputError, match="detector resnet34 and lite0"):
        tables(pd.concat([mine, paper], ignore_index=True), beside)


def test_normals_only_trains_no_detector_and_stays_out():
    memory = report(arms=("normals_only",), detector="patchcore", weights="ImageNet", steps=0)
    row = viii(pd.concat([report(value=0.5), memory], ignore_index=True))
    assert row["base.accuracy"] == pytest.approx(50)
    assert not row.index.str.startswith("normals_only").any()
