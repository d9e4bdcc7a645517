"""The verdict: its rule, its sentences, its page and the number worth making."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import COLUMNS as REPORT
from defectsynth_pipeline.verdict.comparison import fewest_groups
from defectsynth_pipeline.verdict.notes import split_notes
from defectsynth_pipeline.verdict.page import verdict_markdown
from defectsynth_pipeline.verdict.report import classification_report
from defectsynth_pipeline.verdict.verdict import COLUMNS, make_verdict, overall
from verdict.measured import classification_results, report_row

PROTOCOL = ProtocolOptions(seeds=[0, 1, 2])


def compared(low, high, **changes):
    """The rows of base and of an arm against it."""
    gap = (low + high) / 2
    found = {"difference": gap, "difference_low": low, "difference_high": high}
    found["detectable"] = 0.1
    place = {name: changes[name] for name in ("defect_type", "metric") if name in changes}
    base = report_row(arm="base", value=0.6 - gap, n_synthetic=0, **place)
    return [base, report_row(**place), report_row(**({"against": "base"} | found | changes))]


def verdict_of(rows):
    return make_verdict(pd.DataFrame(rows), PROTOCOL)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.04, 0.18, "pays"),
        (-0.01, 0.18, "no evidence"),
        (0.0, 0.1, "no evidence"),
        (-0.2, -0.01, "harms"),
        (np.nan, np.nan, "cannot judge"),
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
        "0.490, +0.110 (95 % interval +0.040 to +0.180); the smallest difference this test set "
        "could show is 0.100; 200 different synthetic images in a training set of 400, 3 seeds, "
        "24 test images with the defect and 30 without."
    )


@pytest.mark.parametrize(("confidence", "fewest"), [(0.9, 5), (0.95, 6), (0.99, 8)])
def test_fewest_groups_are_those_of_a_sign_test(confidence, fewest):
    assert fewest_groups(confidence) == fewest
    assert 2 * 0.5**fewest <= 1 - confidence < 2 * 0.5 ** (fewest - 1)


@pytest.mark.parametrize(("groups", "verdict"), [(5, "cannot judge"), (6, "pays")])
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
    together = compared(0.1, 0.2, defect_type="all", metric="mean_pixel_ap")
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
    skills = {"base": 0.7, "crop_paste": 0.75, "defectsynth": 0.98, "defectsynth@50": 0.9}
    protocol = ProtocolOptions(bootstrap=200, seeds=[0, 1])
    report = classification_report(classification_results(skills, per_type=120), protocol)
    verdict = make_verdict(report, protocol)
    assert len(verdict) == 12
    page = verdict_markdown(verdict, [report], protocol)
    assert "- **defectsynth**, classification: of 2 defect types pays: 2" in page
    assert "| classification | screw | crack | defectsynth | **pays** | pays | pays |" in page
    assert "the verdict is that of the lite0 detector, the only one that was trained." in page
    answers, arms = page.split("## All arms")
    assert "defectsynth@50" not in answers
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


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"detectable": 0.151}, "too small or the seeds too far apart to show 0.15"),
        ({"n_groups": 5}, "5 independent test images cannot show anything"),
    ],
)
def test_a_blunt_test_set_cannot_judge(changes, why):
    row = verdict_of(compared(-0.05, 0.1, **changes)).iloc[0]
    assert row["verdict"] == "cannot judge"
    assert "cannot judge defectsynth against base" in row["sentence"]
    assert why in row["sentence"]


def test_what_a_test_set_has_to_show_is_an_option():
    report = pd.DataFrame(compared(0.01, 0.3, detectable=0.2))
    patient = PROTOCOL.model_copy(update={"largest_detectable": 0.2})
    assert make_verdict(report, patient)["verdict"].tolist() == ["pays"]
    assert make_verdict(report, PROTOCOL)["verdict"].tolist() == ["cannot judge"]


@pytest.mark.parametrize(
    ("learned", "verdict"),
    [((), "cannot judge"), (("base",), "pays"), (("normals_only",), "cannot judge")],
)
def test_some_trained_arm_has_to_do_better_than_guessing(learned, verdict):
    rows = [*compared(0.04, 0.18), report_row(arm="normals_only")]
    for row in rows:
        row["low"] = 0.04 if row["arm"] in learned else 0.025  # chance is 0.02
    row = verdict_of(rows).iloc[0]
    assert row["verdict"] == verdict
    assert ("no arm has learned" in row["sentence"]) == (verdict == "cannot judge")


def test_in_all_an_arm_pays_only_against_every_control():
    gaps = {"base": (0.04, 0.18), "normals_only": (0.1, 0.2), "crop_paste": (-0.02, 0.1)}
    rows = [
        row for control, (low, high) in gaps.items() for row in compared(low, high, against=control)
    ]
    verdict = verdict_of(rows)
    assert dict(zip(verdict["against"], verdict["verdict"], strict=True)) == {
        "base": "pays",
        "normals_only": "pays",
        "crop_paste": "no evidence",
    }
    assert overall(verdict)["verdict"].tolist() == ["no evidence"]
    assert overall(verdict[verdict["against"] != "crop_paste"])["verdict"].tolist() == ["pays"]
    page = verdict_markdown(verdict, [pd.DataFrame(rows)], PROTOCOL)
    head = "against base | against normals_only | against crop_paste |"
    assert f"| task | category | defect type | arm | in all | {head}" in page
    cells = "**no evidence** | pays | pays | no evidence |"
    assert f"| localization | screw | crack | defectsynth | {cells}" in page


def measured(*, detector="lite0", role="main", held_out=0.6, gap=(0.04, 0.18)):
    """A report's rows of one detector."""
    rows = compared(*gap)
    return [row | {"detector": detector, "role": role, "held_out": held_out} for row in rows]


@pytest.mark.parametrize(
    ("main", "paper", "chosen"),
    [(0.6, 0.2, "lite0"), (0.2, 0.6, "resnet18"), (0.4, 0.4, "lite0"), (np.nan, 0.6, "lite0")],
)
def test_the_verdict_is_that_of_the_better_detector_on_held_out_base_images(main, paper, chosen):
    rows = [
        *measured(detector="resnet18", role="paper", held_out=paper, gap=(-0.2, -0.1)),
        *measured(held_out=main),
    ]
    verdict = verdict_of(rows)
    assert verdict["detector"].tolist() == [chosen]
    assert verdict["verdict"].tolist() == ["pays" if chosen == "lite0" else "harms"]


def test_the_page_says_whose_verdict_it_is_and_shows_the_others_apart():
    rows = [
        *measured(held_out=0.61),
        *measured(detector="resnet18", role="paper", held_out=0.22),
        report_row(defect_type="all", metric="mean_pixel_ap", held_out=0.61),
        report_row(
            defect_type="all",
            metric="mean_pixel_ap",
            value=0.25,
            **{"detector": "resnet18", "role": "paper", "held_out": 0.22},
        ),
    ]
    page = verdict_markdown(verdict_of(rows), [pd.DataFrame(rows)], PROTOCOL)
    assert (
        "- screw, localization: the verdict is that of the lite0 detector, whose base arm has mean "
        "pixel AP 0.610 on held-out base images; the paper's detectors (resnet18): 0.220."
    ) in page
    _, arms = page.split("## All arms")
    mine, paper = arms.split("## The paper's detectors")
    assert "| defectsynth | lite0 |" in mine
    assert "resnet18 |" not in mine
    assert "| defectsynth | resnet18 | 0.250" in paper
    unscored = [row | {"held_out": np.nan} for row in rows]
    page = verdict_markdown(verdict_of(unscored), [pd.DataFrame(unscored)], PROTOCOL)
    assert "the lite0 detector, the main one: its base arm was not scored" in page


def test_image_auroc_stands_beside():
    image = {"metric": "image_auroc"}
    rows = [
        *compared(0.04, 0.18),
        report_row(value=0.9, **image),
        report_row(arm="base", value=0.8, **image),
    ]
    row = verdict_of(rows).iloc[0]
    assert (row["image_auroc"], row["against_image_auroc"]) == (0.9, 0.8)
    assert "image AUROC 0.900 instead of 0.800" in row["sentence"]


def test_a_sentence_says_of_how_many_parts_the_test_images_are():
    sentence = verdict_of(compared(0.1, 0.2, n_test=24, n_groups=8)).iloc[0]["sentence"]
    assert "24 test images of 8 parts with the defect" in sentence


def test_the_page_says_of_how_many_parts_each_base_is():
    samples = pd.DataFrame(
        {
            "category": "screw",
            "defect_type": ["burr"] * 3 + ["dent"] * 3 + ["good"],
            "split": ["base", "base", "test", "base", "base", "unused", "normal"],
            "group": list("aabcddg"),
        }
    )
    burr, dent = list(split_notes(samples))[1:]
    assert burr.startswith("screw / burr: base 2 images of 1 part, test 1 image of 1 part; a base")
    assert dent == "screw / dent: base 2 images of 2 parts, test 0 images of 0 parts."
