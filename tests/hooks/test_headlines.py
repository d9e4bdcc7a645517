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
    facts = {"pipeline": "augment", "corpus": "demo", "images": "1000", "categories": "x"}
    assert run_name(facts) == "augment, demo, 1000 images"


def test_the_corpus_is_the_folder_given():
    samples = pd.DataFrame({"root": ["/raw/demo/a", "/raw/demo/b"], "category": ["x", "y"]})
    assert facts_in("samples", samples) == {"corpus": "demo", "categories": "x, y"}


def test_a_set_tells_its_images_before_it_is_published():
    assert facts_in("synthetic_images", FinishedSet(Path("work"), images=7)) == {"images": "7"}


def test_images_in_five_numbers():
    numbers = headline("synthesis_summary", SUMMARY)
    assert numbers == {
        "images": 4,
        "accepted_share": pytest.approx(3 / 8),
        "rejected_share": 0.5,
        "attempts": pytest.approx(13 / 8),
        "network_share": 0.5,
    }
    assert headline("synthesis_summary", SUMMARY.iloc[:0]) == {}
    assert "| flange / &#60;b&#62; | 1 | 1 | 0 | 4 |" in description("synthesis_summary", SUMMARY)


def test_a_verdict_in_four_numbers_per_task():
    protocol = ProtocolOptions(bootstrap=200, seeds=[0, 1])
    skills = {"base": 0.7, "geometric": 0.75, "defectsynth": 0.98}
    report = classification_report(classification_results(skills, per_type=120), protocol)
    numbers = headline("verdict", make_verdict(report, protocol))
    ours, base = numbers["classification.value"], numbers["classification.base"]
    assert numbers["classification.difference"] == pytest.approx(ours - base)
    assert ours > base
    assert numbers["classification.pays_share"] == 1
    assert len(numbers) == 4


def test_a_long_page_is_cut_at_a_line():
    page = "# Does the data pay?\n" + "one line\n" * 1000
    text = description("verdict_page", page)
    assert len(text) < 5000
    assert text.endswith("one line\n\nThe whole page is among the artifacts.")
    assert description("verdict_page", "short") == "short"


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
