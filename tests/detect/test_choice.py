"""Whose detector is taken, by the verdict and without a look at any other score."""

from __future__ import annotations

import pandas as pd
import pytest

from defectsynth_pipeline.detect.choice import choose_category, choose_detector
from refusals import refused


def verdict(*cells: tuple[str, str, str], category: str = "plate") -> pd.DataFrame:
    """Rows of (defect type, against, verdict)."""
    rows = [
        {"defect_type": kind, "against": against, "verdict": said, "against_value": len(against)}
        for kind, against, said in cells
    ]
    return pd.DataFrame(rows).assign(task="localization", category=category, arm="defectsynth")


def report(**held_out: float) -> pd.DataFrame:
    rows = [
        {"detector": name, "arm": arm, "role": "main" if name == "lite0" else "paper"}
        | {"held_out": score}
        for name, score in held_out.items()
        for arm in ("base", "defectsynth")
    ]
    rows.append({"detector": "patchcore", "arm": "normals_only", "role": "main"})
    return pd.DataFrame(rows).assign(task="localization", category="plate")


@pytest.mark.parametrize(
    ("cells", "arm"),
    [
        ([("a", "base", "pays"), ("a", "normals_only", "pays")], "defectsynth"),
        ([("a", "base", "no evidence"), ("a", "normals_only", "pays")], "base"),
        ([("a", "base", "cannot judge")], "base"),
        ([("a", "base", "pays"), ("a", "normals_only", "harms")], "normals_only"),
        # All types together decide where there are several.
        ([("a", "base", "harms"), ("b", "base", "harms"), ("all", "base", "pays")], "defectsynth"),
    ],
)
def test_the_arm_is_the_verdicts(cells, arm):
    chosen = choose_detector(verdict(*cells), report(lite0=0.5), "plate")
    assert chosen.arm == arm
    assert chosen.network == ("patchcore" if arm == "normals_only" else "lite0")


def test_the_network_is_the_better_one_on_held_out_base_images():
    told = verdict(("a", "base", "pays"))
    assert choose_detector(told, report(lite0=0.5, resnet34=0.6), "plate").network == "resnet34"
    assert choose_detector(told, report(lite0=0.7, resnet34=0.6), "plate").network == "lite0"


def test_the_category_is_asked_for_where_there_are_several():
    one, other = (verdict(("a", "base", "pays"), category=name) for name in ("cast", "plate"))
    assert choose_category(one, None) == "cast"
    with refused("not said of which category", remedy="cast, plate"):
        choose_category(pd.concat([one, other]), None)
    with refused("no detector of this category", "gear", remedy="cast, plate"):
        choose_category(pd.concat([one, other]), "gear")
