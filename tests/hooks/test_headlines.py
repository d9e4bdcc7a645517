"""What MLflow shows first of a run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from defectsynth_pipeline.hooks.headlines import description, facts_in, headline, run_name
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.rendering import FinishedSet
from defectsynth_pipeline.verdict.report import classification_report
from defectsynth_pipeline.verdict.verdict import make_verdict
from verdict.measured import classification_results

SUMMARY = pd.DataFrame(
    {
        "category": "flange",
        "defect_type": ["dent", "<b>"],
        "images": [3, 1],
        "accepted": [2, 1],
        "relabelled": [1, 0],
        "rejected": [0, 4],
        "mean_attempts": [1.0, 2.0],
        "network": [0.5, 0.5],
    }
)


def test_a_run_is_named_after_what_is_known_of_it():
    assert run_name({"pipeline": "augment"}) == "augment"
    facts = {"pipeline": "augment", "data": "mvtec/screw", "images": "1000", "categories": "x"}
    assert run_name(facts) == "augment mvtec/screw 1000"


def test_data_is_named_after_the_folder_or_the_one_category():
    roots = {"root": ["/raw/demo/a", "/raw/demo/b"], "corpus": ["a", "b"], "category": ["x", "y"]}
    several = facts_in("samples", pd.DataFrame(roots))
    assert several == {"data": "demo", "corpus": "a, b", "categories": "x, y"}
    one = facts_in("samples", pd.DataFrame(roots).iloc[:1])
    assert one == {"data": "a/x", "corpus": "a", "categories": "x"}


def test_a_set_tells_its_images_before_it_is_published():
    assert facts_in("synthetic_images", FinishedSet(Path("work"), images=7)) == {"images": "7"}


def test_images_in_two_numbers_and_a_table():
    numbers = headline("synthesis_summary", SUMMARY)
    assert numbers == {"accepted_share": 3 / 8, "attempts_per_image": 13 / 8}
    assert headline("synthesis_summary", SUMMARY.iloc[:0]) == {}
    assert "| flange / &#60;b&#62; | 1 | 1 | 0 | 4 |" in description("synthesis_summary", SUMMARY)


def test_the_mixtures_gain_is_the_mean_over_types():
    rows = [("x", "a", 0.5, 0.2), ("x", "a", 0.5, 0.4), ("x", "b", 1.0, 0.1), ("x", "c", 1.0, None)]
    choice = pd.DataFrame(rows, columns=["category", "defect_type", "share", "gain"])
    assert headline("engine_choice", choice) == {"held_out_gain": pytest.approx(0.2)}
    assert headline("engine_choice", choice.iloc[3:]) == {}


def test_what_passes_of_nothing():
    rows = [("all", "real", 5, 1.0), ("all", "erased", 20, 0.1), ("all", "untouched", 20, 0.05)]
    test = pd.DataFrame(rows, columns=["defect_type", "kind", "windows", "passed"])
    assert headline("certificate_test", test) == {"nothing_passed": 0.1}


def test_a_verdict_in_two_numbers_per_task():
    protocol = ProtocolOptions(bootstrap=200, seeds=[0, 1])
    skills = {"base": 0.7, "geometric": 0.75, "defectsynth": 0.98}
    report = classification_report(classification_results(skills, per_type=120), protocol)
    numbers = headline("verdict", make_verdict(report, protocol))
    assert set(numbers) == {"classification.difference", "classification.pays_share"}
    assert numbers["classification.difference"] > 0.1
    assert numbers["classification.pays_share"] == 1


def test_of_a_page_the_answers_are_told_and_cut_at_a_line():
    page = "# Does the data pay?\n\nIntroduction\n\n" + "one line\n" * 1000 + "\n## Localization\n"
    text = description("verdict_page", page)
    assert len(text) < 3100
    assert text.startswith("one line")
    assert text.endswith("one line\n\nThe whole page is among the artifacts.")
    page = "# Does it?\n\nHow\n\n- why\n\n- **defectsynth** pays\n\n| yes |\n\n## More\n\n| no |\n"
    told = "- **defectsynth** pays\n\n- why\n\n| yes |\n\nThe whole page is among the artifacts."
    assert description("verdict_page", page) == told
    assert facts_in("verdict_page", page) == {"verdict": "defectsynth pays"}


def test_quality_is_told_of_our_arm_and_of_the_floor_as_means_over_categories():
    rows = pd.DataFrame({"category": ["a", "b", "a", "a"], "defect_type": ["all"] * 3 + ["dent"]})
    rows = rows.assign(arm=["defectsynth"] * 2 + ["real", "real"], kid=[1.0, 3.0, 0.5, 9.0])
    rows = rows.assign(region="defect", ic_distance=0.5, mask_iou=[0.8, 0.6, None, None])
    assert headline("generation_quality", rows) == pytest.approx(
        {
            "quality.kid.defect": 2.0,
            "quality.ic_distance.defect": 0.5,
            "quality.mask_iou.defect": 0.7,
            "quality.floor.kid.defect": 0.5,
            "quality.floor.ic_distance.defect": 0.5,
        }
    )
