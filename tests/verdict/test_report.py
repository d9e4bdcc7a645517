"""Reports from results: values, intervals, numbers and notes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import COLUMNS
from defectsynth_pipeline.verdict.report import classification_report, localization_report
from verdict.measured import classification_results, localization_results, localization_stats

PROTOCOL = ProtocolOptions(bootstrap=100)
SKILLS = {"base": 0.6, "crop_paste": 0.7, "defectsynth": 0.9}


@pytest.fixture(scope="module")
def classified() -> pd.DataFrame:
    return classification_report(classification_results(SKILLS), PROTOCOL)


@pytest.fixture(scope="module")
def localized() -> pd.DataFrame:
    return localization_report(
        localization_results({"base": 3.0, "crop_paste": 3.1, "defectsynth": 5.0}), PROTOCOL
    )


def only(report, **where):
    chosen = report[np.logical_and.reduce([report[k] == v for k, v in where.items()])]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_classification_values_are_means_over_seeds(classified):
    predictions = classification_results(SKILLS).predictions
    seeds = predictions[predictions["arm"] == "defectsynth"].groupby("seed")
    pairs = [(of_seed["defect_type"], of_seed["predicted"]) for _, of_seed in seeds]
    accuracy = np.mean([accuracy_score(*pair) for pair in pairs])
    crack = np.mean([f1_score(true == "crack", found == "crack") for true, found in pairs])
    row = only(classified, arm="defectsynth", metric="accuracy", against="")
    assert row["value"] == pytest.approx(accuracy)
    row = only(classified, arm="defectsynth", metric="f1", defect_type="crack", against="")
    assert row["value"] == pytest.approx(crack)


def test_a_row_says_what_it_rests_on(classified, localized):
    assert list(classified.columns) == list(localized.columns) == list(COLUMNS)
    row = only(classified, arm="defectsynth", metric="f1", defect_type="crack", against="base")
    assert (row["n_test"], row["n_groups"], row["n_good"]) == (20, 20, 0)
    assert (row["seeds"], row["n_synthetic"], row["set_size"], row["steps"]) == (2, 200, 300, 150)
    assert row["weights"] == "from scratch"
    row = only(localized, arm="defectsynth", metric="pro", defect_type="all", against="base")
    assert (row["n_test"], row["n_good"]) == (24, 12)


def test_a_real_gain_is_outside_its_interval(classified, localized):
    for report, metric in ((classified, "macro_f1"), (localized, "pixel_ap")):
        row = only(report, arm="defectsynth", defect_type="all", metric=metric, against="base")
        own = only(report, arm="defectsynth", defect_type="all", metric=metric, against="")
        other = only(report, arm="base", defect_type="all", metric=metric, against="")
        assert row["difference"] == pytest.approx(own["value"] - other["value"])
        assert 0 < row["difference_low"] < row["difference"] < row["difference_high"]
        assert own["low"] < own["value"] < own["high"]


def test_localization_values_are_those_of_the_statistics(localized):
    expected = np.mean([localization_stats(5.0, s).metrics("crack")["pixel_ap"] for s in (0, 1)])
    row = only(localized, arm="defectsynth", defect_type="crack", metric="pixel_ap", against="")
    assert row["value"] == pytest.approx(expected)


def test_the_same_results_give_the_same_report(classified):
    again = classification_report(classification_results(SKILLS), PROTOCOL)
    pd.testing.assert_frame_equal(again, classified)


def test_without_good_images_image_metrics_are_said_to_be_undefined():
    report = localization_report(localization_results({"base": 4.0}, good=0), PROTOCOL)
    row = only(report, arm="base", defect_type="all", metric="image_auroc")
    assert np.isnan(row["value"])
    assert row["note"] == "not defined: no good images in the test set"
    row = only(report, arm="base", defect_type="all", metric="pixel_ap")
    assert row["value"] > 0
    assert row["note"] == ""


def test_base_at_its_ceiling_is_noted():
    report = classification_report(classification_results({"base": 1.0, "exemplar": 1.0}), PROTOCOL)
    assert set(report["note"]) == {"base arm at 1.00: too near its ceiling to show anything"}


def test_shots_of_one_part_count_once():
    results = classification_results({"base": 0.7}, per_type=8)
    predictions = results.predictions.assign(group=lambda t: t["sample_id"].str[:-1])
    report = classification_report(dataclasses.replace(results, predictions=predictions), PROTOCOL)
    row = only(report, metric="f1", defect_type="crack")
    assert (row["n_test"], row["n_groups"]) == (8, 1)


def test_legacy_is_compared_with_legacy_and_called_inflated():
    skills = {"base": 3.0, "defectsynth": 3.5}
    report = localization_report(
        localization_results(skills, seeds=[0], legacy={"base": 4.0, "defectsynth": 4.5}), PROTOCOL
    )
    own = report[(report["metric"] == "pixel_ap") & (report["defect_type"] == "all")]
    honest = only(own, arm="base", against="", selected="last")
    inflated = only(own, arm="base", against="", selected=LEGACY)
    assert inflated["value"] > honest["value"]
    assert inflated["note"].startswith("inflated: checkpoint chosen on the test set")
    row = only(own, arm="defectsynth", against="base", selected=LEGACY)
    assert row["difference"] == pytest.approx(row["value"] - inflated["value"])


def test_a_missing_seed_is_an_error():
    results = classification_results({"base": 0.5, "exemplar": 0.6})
    meta = results.meta.iloc[:-1]
    with pytest.raises(InputError, match="screw, exemplar"):
        classification_report(dataclasses.replace(results, meta=meta), PROTOCOL)


def test_other_test_images_are_an_error():
    results = classification_results({"base": 0.5, "exemplar": 0.6})
    predictions = results.predictions.iloc[:-1]
    with pytest.raises(InputError, match="not tested on the same images"):
        classification_report(dataclasses.replace(results, predictions=predictions), PROTOCOL)
