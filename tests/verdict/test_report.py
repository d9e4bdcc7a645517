"""Reports from results: values, intervals, numbers and notes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import accuracy_score, f1_score

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.measures.detection import LocalizationStats
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import COLUMNS
from defectsynth_pipeline.verdict.report import (
    classification_report,
    localization_report,
    mark_derived,
)
from defectsynth_pipeline.verdict.verdict import make_verdict
from verdict.measured import (
    SIDE,
    classification_results,
    joined,
    localization_results,
    localization_stats,
)

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


def test_the_headline_is_the_mean_over_types(localized):
    types = localized[(localized["metric"] == "pixel_ap") & (localized["arm"] == "defectsynth")]
    single = types[(types["defect_type"] != "all") & (types["against"] == "base")]
    row = only(localized, arm="defectsynth", metric="mean_pixel_ap", against="base")
    assert row["defect_type"] == "all"
    for name in ("value", "difference", "chance"):
        assert row[name] == pytest.approx(single[name].mean())
    # Types are resampled one by one, so their mean is known better than either.
    assert row["detectable"] < single["detectable"].min()
    assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_chance_is_the_share_of_defect_pixels(localized):
    row = only(localized, arm="base", metric="pixel_ap", defect_type="crack", against="")
    assert row["chance"] == pytest.approx(12 * 30 / (24 * SIDE**2))
    assert localized.loc[localized["metric"] == "pro", "chance"].isna().all()


def test_every_detector_is_compared_with_normals_only():
    mine = localization_results({"base": 3.0, "defectsynth": 4.0, "normals_only": 2.0})
    paper = localization_results(
        {"base": 1.0, "defectsynth": 1.5}, seeds=[0], detector="resnet18", role="paper"
    )
    report = localization_report(joined(mine, paper), PROTOCOL)
    rows = report[report["metric"] == "mean_pixel_ap"]
    pairs = set(rows[["detector", "arm", "against"]].itertuples(index=False, name=None))
    for detector in ("lite0", "resnet18"):
        for arm in ("base", "defectsynth"):
            assert (detector, arm, "normals_only") in pairs
    assert {pair for pair in pairs if pair[1] == "normals_only"} == {
        ("patchcore", "normals_only", "")
    }
    assert set(rows[rows["detector"] == "resnet18"]["seeds"]) == {1}
    gap = only(rows, detector="resnet18", arm="base", against="normals_only")
    first = (localization_stats(skill, 0).mean_pixel_ap() for skill in (1.0, 2.0))
    assert gap["difference"] == pytest.approx(np.subtract(*first))
    assert set(rows["role"]) == {"main", "paper"}


def test_a_step_chosen_by_validation_is_compared_with_normals_only_too():
    arms = localization_results({"base": 3.0, "defectsynth": 4.0}, selected="validation")
    report = localization_report(
        joined(arms, localization_results({"normals_only": 2.0})), PROTOCOL
    )
    assert "normals_only" in set(report["against"])
    assert set(report["selected"]) == {"last", "validation"}


def test_normals_only_without_a_seed_is_an_error():
    mine = localization_results({"base": 3.0})
    with pytest.raises(InputError, match="screw, normals_only"):
        localization_report(
            joined(mine, localization_results({"normals_only": 2.0}, seeds=[0])), PROTOCOL
        )


def test_derived_normals_are_marked():
    report = localization_report(localization_results({"base": 3.0, "normals_only": 2.0}), PROTOCOL)
    rows = [("mvtec", "screw", "good", "crack_removed"), ("mvtec", "tile", "good", "")]
    samples = pd.DataFrame(rows, columns=["corpus", "category", "defect_type", "derivation"])
    marked = mark_derived(report, samples)
    text = "the normals of normals_only are derived (crack_removed)"
    concerned = (report["arm"] == "normals_only") | (report["against"] == "normals_only")
    assert (marked["note"].str.contains(text, regex=False) == concerned).all()
    assert mark_derived(report, samples.assign(derivation="")).equals(report)


def test_augmentation_once_more_is_said_to_be_more_of_the_same():
    skills = {"base": 3.0, "geometric": 3.0, "photometric": 5.0, "crop_paste": 3.0}
    report = localization_report(localization_results(skills), PROTOCOL)
    rows = report[(report["metric"] == "mean_pixel_ap") & (report["against"] == "base")]
    said = rows.set_index("arm")["note"].str.startswith("more of the same")
    assert said.to_dict() == {"geometric": True, "photometric": False, "crop_paste": False}


def random_maps(seed: int) -> LocalizationStats:
    """Score maps that know nothing of the defects, but are smooth as a network's are."""
    stats, rng = LocalizationStats(), np.random.default_rng(seed)
    for number in range(36):
        kind = ("crack", "scratch", "good")[number % 3]
        mask = np.zeros((SIDE, SIDE), bool)
        top, left = np.random.default_rng(number).integers(2, SIDE - 10, 2)
        mask[top : top + 5, left : left + 6] = kind != "good"
        maps = 4 * gaussian_filter(rng.normal(size=mask.shape), 2)
        stats.update(f"{number:03d}", f"g{number}", kind, maps.astype(np.float32), mask)
    return stats


@pytest.mark.parametrize("draw", range(5))
def test_null_of_random_score_maps_cannot_be_judged(draw):
    results = localization_results({"base": 1.0, "crop_paste": 1.0, "defectsynth": 1.0})
    blind = {key: random_maps(97 * draw + place) for place, key in enumerate(results.stats)}
    report = localization_report(dataclasses.replace(results, stats=blind), PROTOCOL)
    assert set(make_verdict(report, PROTOCOL)["verdict"]) == {"cannot judge"}


@pytest.mark.parametrize("draw", range(5))
def test_null_of_shuffled_labels_cannot_be_judged(draw):
    types = ("bent", "crack", "scratch")
    results = classification_results(dict.fromkeys(SKILLS, 0.9), types=types, per_type=40)
    rng = np.random.default_rng(draw)
    runs = results.predictions.groupby(["arm", "seed"])["predicted"]
    shuffled = runs.transform(lambda told: rng.permutation(told.to_numpy()))
    blind = results.predictions.assign(predicted=shuffled)
    report = classification_report(dataclasses.replace(results, predictions=blind), PROTOCOL)
    assert set(make_verdict(report, PROTOCOL)["verdict"]) == {"cannot judge"}


def test_null_of_the_same_results_twice_is_no_evidence():
    skills = {"base": 4.0, "defectsynth": 4.0}
    found = [make_verdict(localization_report(localization_results(skills), PROTOCOL), PROTOCOL)]
    results = classification_results(dict.fromkeys(skills, 0.8))
    found.append(make_verdict(classification_report(results, PROTOCOL), PROTOCOL))
    for verdict in found:
        assert set(verdict["verdict"]) == {"no evidence"}
        assert (verdict["detectable"] == 0).all()
