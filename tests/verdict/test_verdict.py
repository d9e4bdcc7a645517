"""The verdict: its rule, its sentences, its page and the number worth making."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import COLUMNS as REPORT
from defectsynth_pipeline.verdict.comparison import fewest_groups
from defectsynth_pipeline.verdict.page import verdict_markdown
from defectsynth_pipeline.verdict.report import classification_report
from defectsynth_pipeline.verdict.verdict import COLUMNS, RATIO_COLUMNS, make_verdict, ratio_curve
from verdict.measured import classification_results, report_row

PROTOCOL = ProtocolOptions(seeds=[0, 1, 2])


def compared(low, high, **changes):
    """The rows of base and of an arm against it."""
    gap = (low + high) / 2
    found = {"difference": gap, "difference_low": low, "difference_high": high}
    base = report_row(arm="base", value=0.6 - gap, n_synthetic=0)
    return [base, report_row(), report_row(against="base", **(found | changes))]


def verdict_of(rows):
    return make_verdict(pd.DataFrame(rows), PROTOCOL)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.04, 0.18, "pays"),
        (-0.01, 0.18, "no evidence"),
        (0.0, 0.1, "no evidence"),
        (-0.2, -0.01, "harms"),
        (np.nan, np.nan, "no evidence"),
    ],
)
def test_the_interval_decides(low, high, verdict):
    assert verdict_of(compared(low, high))["verdict"].tolist() == [verdict]


def test_a_certain_difference_may_be_too_small_to_matter():
    row = verdict_of(compared(-0.0008, -0.0002)).iloc[0]
    assert row["verdict"] == "no evidence"
    assert "less than 0.01 does not matter" in row["sentence"]
    minded = PROTOCOL.model_copy(update={"smallest_difference": 0.0})
    report = pd.DataFrame(compared(-0.0008, -0.0002))
    assert make_verdict(report, minded)["verdict"].tolist() == ["harms"]


def test_a_sentence_tells_all():
    (sentence,) = verdict_of(compared(0.04, 0.18))["sentence"]
    assert sentence == (
        "screw / crack, localization: defectsynth pays against base; pixel AP 0.600 instead of "
        "0.490, +0.110 (95 % interval +0.040 to +0.180); 200 different synthetic images in a "
        "training set of 400, 3 seeds, 24 test images with the defect and 30 without."
    )


@pytest.mark.parametrize(("confidence", "fewest"), [(0.9, 5), (0.95, 6), (0.99, 8)])
def test_fewest_groups_are_those_of_a_sign_test(confidence, fewest):
    assert fewest_groups(confidence) == fewest
    assert 2 * 0.5**fewest <= 1 - confidence < 2 * 0.5 ** (fewest - 1)


@pytest.mark.parametrize(("groups", "verdict"), [(5, "no evidence"), (6, "pays")])
def test_too_few_test_images_show_nothing(groups, verdict):
    row = verdict_of(compared(0.1, 0.2, n_groups=groups)).iloc[0]
    assert row["verdict"] == verdict
    assert ("5 independent test images cannot show anything" in row["sentence"]) == (groups == 5)


def test_doubts_are_said():
    note = "base arm at 0.98: too near its ceiling to show anything"
    (sentence,) = verdict_of(compared(-0.01, 0.01, note=note, seeds=1))["sentence"]
    assert note in sentence
    assert "1 seed, " in sentence
    assert "leaves out the spread between trainings" in sentence


def test_controls_other_metrics_and_legacy_are_not_judged():
    rows = [
        *compared(0.1, 0.2),
        *compared(0.1, 0.2, arm="crop_paste"),
        *compared(0.1, 0.2, metric="pixel_auroc"),
        *compared(-0.2, -0.1, selected=LEGACY),
    ]
    table = verdict_of(rows)
    assert table[["arm", "metric", "verdict"]].to_numpy().tolist() == [
        ["defectsynth", "pixel_ap", "pays"]
    ]


def test_all_types_come_last_and_only_where_there_are_several():
    together = compared(0.1, 0.2, defect_type="all")
    one = verdict_of([*together, *compared(0.1, 0.2)])
    assert one["defect_type"].tolist() == ["crack"]
    two = verdict_of([*together, *compared(0, 1), *compared(0.1, 0.2, defect_type="scratch")])
    assert two["defect_type"].tolist() == ["crack", "scratch", "all"]


def test_nothing_reported_gives_an_empty_verdict():
    report = pd.DataFrame(columns=list(REPORT))
    verdict = make_verdict(report, PROTOCOL)
    assert verdict.empty
    assert list(verdict.columns) == list(COLUMNS)
    assert "nothing to judge" in verdict_markdown(verdict, [report, report], PROTOCOL)


def test_page_from_a_real_report():
    skills = {"base": 0.5, "crop_paste": 0.6, "defectsynth": 0.95, "defectsynth@50": 0.8}
    protocol = ProtocolOptions(bootstrap=200, seeds=[0, 1])
    report = classification_report(classification_results(skills), protocol)
    verdict = make_verdict(report, protocol)
    assert len(verdict) == 12
    page = verdict_markdown(verdict, [report], protocol)
    assert "| classification | **defectsynth** | pays: 2 | pays: 2 |" in page
    headlines, arms = page.split("## All arms")
    assert "defectsynth@50" not in headlines
    assert "| defectsynth@50 |" in arms
    assert "not corrected for their number: about 0.6" in page
    assert "initial weights: from scratch" in page
    assert "2 seeds" in page
    lines = [line for line in page.splitlines() if line.startswith("| screw | crack")]
    assert len(lines) == 1
    assert lines[0].count("**pays** +0.") == 2


def test_page_notes_ceiling_undefined_metrics_and_inflation():
    note = "base arm at 0.98: too near its ceiling to show anything"
    missing = "not defined: no good images in the test set"
    rows = [
        *compared(-0.01, 0.01),
        report_row(note=note),
        report_row(defect_type="all", metric="image_auroc", value=np.nan, note=missing),
        report_row(defect_type="all", selected=LEGACY),
    ]
    report = pd.DataFrame(rows)
    page = verdict_markdown(verdict_of(rows), [report], ProtocolOptions(seeds=[0]))
    assert f"screw / crack: {note}." in page
    assert f"image AUROC: {missing}." in page
    assert "defectsynth (inflated: best test checkpoint)" in page
    assert "One seed: the intervals cover the choice of test images only." in page


def curve_of(values, half=0.05, **changes):
    return pd.DataFrame(
        [
            report_row(arm=f"defectsynth@{n}", value=v, low=v - half, high=v + half, **changes)
            for n, v in values.items()
        ]
    )


@pytest.mark.parametrize(
    ("values", "worth"),
    [
        ({0: 0.30, 25: 0.40, 50: 0.47, 100: 0.51, 200: 0.50}, 50),
        ({0: 0.48, 50: 0.50}, 0),
        ({0: 0.10, 50: 0.20, 100: 0.30}, 100),
        ({100: 0.30, 0: 0.10, 50: 0.28}, 50),
        ({0: np.nan, 50: np.nan}, -1),
    ],
)
def test_smallest_number_within_half_an_interval_of_the_best(values, worth):
    curve = ratio_curve(curve_of(values))
    assert curve["n"].tolist() == sorted(values)
    assert set(curve["worth_making"]) == {worth}


def test_only_the_primary_metric_of_plain_points():
    report = pd.concat(
        [
            curve_of({50: 0.5, 100: 0.6}),
            curve_of({50: 0.5}, metric="pixel_auroc"),
            curve_of({50: 0.5}, selected=LEGACY),
            curve_of({50: 0.5}, against="base"),
            pd.DataFrame([report_row(), report_row(arm="crop_paste@20+defectsynth@50")]),
        ],
        ignore_index=True,
    )
    curve = ratio_curve(report)
    assert curve[["arm", "n", "value"]].to_numpy().tolist() == [
        ["defectsynth", 50, 0.5],
        ["defectsynth", 100, 0.6],
    ]


def test_each_type_has_its_own_number():
    report = pd.concat(
        [
            curve_of({0: 0.1, 50: 0.5}, defect_type="scratch"),
            curve_of({0: 0.5, 50: 0.5}, defect_type="crack"),
        ]
    )
    curve = ratio_curve(report)
    worth = curve.groupby("defect_type")["worth_making"].unique().map(list).to_dict()
    assert worth == {"crack": [0], "scratch": [50]}


def test_no_points_give_an_empty_curve():
    curve = ratio_curve(pd.DataFrame([report_row()]))
    assert curve.empty
    assert list(curve.columns) == list(RATIO_COLUMNS)
