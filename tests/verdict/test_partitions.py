"""Which runs enter a table, and that what is missing is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.verdict.partitions import choose_runs

METRICS = ("accuracy", "macro_f1")


def report(version="v1", partition=0, *, arms=("base", "defectsynth"), value=0.5, **changes):
    """One run's report of one category, `value` higher by 0.1 with every arm."""
    rows = [
        {"arm": arm, "metric": metric, "value": value + 0.1 * rank}
        for rank, arm in enumerate(arms)
        for metric in METRICS
    ]
    common = {
        "version": version,
        "task": "classification",
        "corpus": "mvtec",
        "category": "screw",
        "defect_type": "all",
        "against": "",
        "seeds": 2,
        "set_size": 300,
        "steps": 150,
        "weights": "from scratch",
        "selected": "last",
        "partition": partition,
        "split_protocol": "random_third",
    }
    return pd.DataFrame(rows).assign(**(common | changes))


def choose(*reports):
    return choose_runs(pd.concat(reports, ignore_index=True), METRICS)


def mean(runs, arm="base", metric="accuracy", category="screw"):
    return runs.mean()[("mvtec", category, arm, metric)]


def note(runs, category="screw"):
    return runs.notes["mvtec", category]


def test_the_mean_is_over_three_partitions():
    runs = choose(
        report("v1", 0, value=0.2), report("v2", 1, value=0.3), report("v3", 2, value=0.7)
    )
    assert mean(runs) == pytest.approx(0.4)
    assert mean(runs, "defectsynth") == pytest.approx(0.5)
    assert runs.partitions == {("mvtec", "screw"): "0+1+2"}
    assert note(runs) == ""


def test_the_latest_version_of_a_partition_counts_whatever_the_order_of_rows():
    runs = choose(
        report("v3", 0, value=0.8), report("v1", 0, value=0.2), report("v2", 1, value=0.4)
    )
    assert mean(runs) == pytest.approx(0.6)


def test_a_partition_that_was_not_run_is_named():
    runs = choose(report("v1", 0), report("v2", 2))
    assert runs.partitions["mvtec", "screw"] == "0+2"
    assert note(runs) == "partition 1 not run"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": 300}, "steps 300, not 150"),
        ({"set_size": 1000}, "set_size 1000, not 300"),
        ({"weights": "ImageNet, torch cache"}, "weights ImageNet, torch cache, not from scratch"),
        ({"seeds": 3}, "seeds 3, not 2"),
        ({"selected": "validation"}, "selected validation, not last"),
    ],
)
def test_other_settings_are_left_out_and_named(changes, reason):
    runs = choose(report("v1", 1, value=0.9, **changes), report("v2", 0), report("v3", 2))
    assert mean(runs) == pytest.approx(0.5)
    assert note(runs) == f"partition 1 left out: {reason}"


def test_an_older_run_with_equal_settings_is_found_behind_one_with_others():
    runs = choose(
        report("v1", 1, value=0.7), report("v2", 1, steps=900, value=0.0), report("v3", 0)
    )
    assert mean(runs) == pytest.approx(0.6)
    assert runs.partitions["mvtec", "screw"] == "0+1"


def test_sizes_may_differ_by_what_a_partition_makes():
    runs = choose(report("v1", 0, set_size=301, steps=151), report("v2", 1), report("v3", 2))
    assert runs.partitions["mvtec", "screw"] == "0+1+2"


def test_the_lowest_third_is_one_partition_whatever_its_number():
    runs = choose(
        report("v1", 0, split_protocol="lowest_third", value=0.2),
        report("v2", 1, split_protocol="lowest_third", value=0.6),
    )
    assert mean(runs) == pytest.approx(0.6)
    assert (runs.partitions["mvtec", "screw"], note(runs)) == ("0", "")


def test_a_category_keeps_its_runs_when_a_later_run_had_only_others():
    runs = choose(report("v1", 0, value=0.3), report("v2", 0, category="tile", steps=900))
    assert mean(runs) == pytest.approx(0.3)
    assert runs.corpora() == {"mvtec": ["tile", "screw"]}


def test_an_arm_of_one_partition_only_is_named():
    runs = choose(report("v1", 0, arms=("base", "cutpaste")), report("v2", 1, arms=("base",)))
    assert note(runs) == "partition 2 not run; cutpaste: partition 0 only"


def test_an_undefined_metric_is_named_and_not_averaged():
    first = report("v1", 0)
    first.loc[first["metric"] == "macro_f1", "value"] = np.nan
    runs = choose(first)
    assert "macro_f1 not defined" in note(runs)
    assert set(runs.values["metric"]) == {"accuracy"}


def test_a_number_that_one_partition_lacks_is_named():
    first, second = report("v1", 0), report("v2", 1)
    second.loc[0, "value"] = np.nan
    runs = choose(first, second, report("v3", 2))
    assert note(runs) == "base accuracy: partition 0+2 only"


def test_only_rows_of_a_whole_category_and_a_single_arm_enter():
    runs = choose(
        report("v1", 0, value=0.5),
        report("v1", 0, value=0.0, defect_type="scratch"),
        report("v1", 0, value=0.0, against="base"),
    )
    assert mean(runs) == pytest.approx(0.5)


def test_the_fields_habit_is_an_arm_of_its_own():
    runs = choose(report("v1", 0), report("v1", 0, value=0.9, selected="legacy_best_test"))
    assert mean(runs) == pytest.approx(0.5)
    assert mean(runs, "base (best test checkpoint)") == pytest.approx(0.9)


def test_empty_fields_as_a_csv_gives_them(tmp_path):
    path = tmp_path / "report.csv"
    report().to_csv(path, index=False)
    assert mean(choose_runs(pd.read_csv(path), METRICS)) == pytest.approx(0.5)


def test_no_report_gives_no_numbers():
    runs = choose_runs(pd.DataFrame({"version": []}), METRICS)
    assert runs.values.empty
    assert (runs.partitions, runs.arms) == ({}, [])


def test_a_report_of_an_older_release_is_refused():
    with pytest.raises(InputError, match="split_protocol"):
        choose_runs(report().drop(columns="split_protocol"), METRICS)


def test_a_version_without_a_partition_is_left_out(caplog):
    runs = choose(report("v1", 0, value=0.3), report("v2", np.nan, value=0.9))
    assert mean(runs) == pytest.approx(0.3)
    assert "v2" in caplog.text
