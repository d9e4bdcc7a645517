"""What would settle an open question, where the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.verdict.comparison import detectable
from defectsynth_pipeline.verdict.next_steps import next_steps, open_questions
from defectsynth_pipeline.verdict.verdict import COLUMNS

PROTOCOL = ProtocolOptions(seeds=[0, 1, 2])


def row(**changes: object) -> dict[str, object]:
    told = dict.fromkeys(COLUMNS, 0.0) | {"task": "localization", "corpus": "c", "detector": "d"}
    told |= {"category": "plate", "defect_type": "scratch", "arm": "defectsynth"}
    told |= {"against": "base", "metric": "pixel_ap", "verdict": "no evidence", "sentence": ""}
    return told | {"difference": 0.05, "detectable": 0.1, "n_groups": 10} | changes


def questions(*rows: dict[str, object]) -> list[tuple[str, int]]:
    found = open_questions(pd.DataFrame(rows), PROTOCOL)
    return [(question.row["defect_type"], question.more) for question in found]


def test_half_the_error_takes_four_times_the_images():
    assert questions(row()) == [("scratch", 30)]


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"verdict": "pays"}, None),
        ({"verdict": "harms"}, None),
        ({"defect_type": "all"}, None),
        ({"detectable": 0.04}, None),  # enough to show it, and it did not show
        ({"difference": float("nan")}, None),
        ({"difference": -0.05}, 30),
        ({"difference": 0.0, "detectable": 0.02}, 30),  # to show that nothing matters
        ({"difference": 0.6, "detectable": 0.3, "verdict": "cannot judge"}, 30),
        ({"difference": 0.6, "detectable": 0.1, "n_groups": 2, "verdict": "cannot judge"}, 4),
    ],
)
def test_what_is_asked(changes, more):
    assert questions(row(**changes)) == ([] if more is None else [("scratch", more)])


def test_the_easiest_comes_first_and_the_hopeless_is_named():
    rows = [row(), row(defect_type="dent", difference=0.08), row(defect_type="pore", difference=0)]
    rows[2]["detectable"] = 0.2
    assert [name for name, _ in questions(*rows)] == ["dent", "scratch", "pore"]
    first, second, hopeless, how = next_steps(pd.DataFrame(rows), PROTOCOL)
    assert first.startswith("photograph next: plate / dent")
    assert "about 6 more independent test defects (there are 10)" in first
    assert "about 30 more" in second
    assert "plate / pore" in hopeless
    assert "more than 1000" in hopeless
    assert "seeds" in how


def test_nothing_open_says_nothing():
    assert [*next_steps(pd.DataFrame([row(verdict="pays")]), PROTOCOL)] == []
    assert [*next_steps(pd.DataFrame(columns=COLUMNS), PROTOCOL)] == []


def test_so_many_do_settle_it(rng):
    """Test sets of the size that is asked for show the true difference in four of five cases."""
    true, spread, few, draws = 0.05, 0.1, 10, 4000
    means = rng.normal(true, spread / np.sqrt(few), 20000)
    asked = questions(row(difference=true, detectable=detectable(means, 0.95), n_groups=few))
    needed = few + asked[0][1]
    found = rng.normal(true, spread / np.sqrt(needed), draws)
    shown = np.mean(np.abs(found) > 1.96 * spread / np.sqrt(needed))
    assert 0.77 < shown < 0.84
