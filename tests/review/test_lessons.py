"""What a review says of engines and real images, and what a next run leaves out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from defectsynth_pipeline.datasets import ReviewDataset
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.review.decisions import FORMAT, Decision, Review, Reviewed
from defectsynth_pipeline.review.lessons import (
    review_notes,
    summarise_review,
    without_refused_engines,
    without_refused_parents,
)
from defectsynth_pipeline.schemas import own_columns
from refusals import refused

from .conftest import Made
from .test_decisions import write

KIND = ("plate", "dent")
NAMES = ["a", "b", "c"]  # references


def reviewed(is_bad: Callable[[str, int, str], bool], decided: int = 8) -> Reviewed:
    """A set of three references, the engines in turns, and a review of all of it.

    Args:
        is_bad: Of reference, number and engine: whether the image was rejected.
        decided: Images of a reference.
    """
    rows, decisions = [], {}
    for name in NAMES:
        for number in range(decided):
            image_id, engine = f"{name}{number}", ("transfer", "paste")[number % 2]
            told = {"category": KIND[0], "defect_type": KIND[1], "verdict": "accepted"}
            rows.append(told | {"image_id": image_id, "engine": engine, "reference": name})
            verdict = "rejected" if is_bad(name, number, engine) else "accepted"
            decisions[image_id] = Decision(verdict=verdict, reason="x")
    review = Review(format=FORMAT, set="f", pictures="p", images=decisions, file=Path("r.json"))
    table = pd.DataFrame(rows)
    return Reviewed(review, ImageSet(Path("/none"), table, apart=table.iloc[:0]))


def b_and_half_of_a(name: str, number: int, engine: str) -> bool:
    return name == "b" or (name == "a" and number < 4)


def all_paste(name: str, number: int, engine: str) -> bool:
    return engine == "paste"


BASE = pd.DataFrame({"sample_id": NAMES, "category": KIND[0], "defect_type": KIND[1]})
CHOICE = pd.DataFrame(
    {
        "category": KIND[0],
        "defect_type": KIND[1],
        "engine": ["transfer", "paste", "patch"],
        "share": [0.25, 0.5, 0.25],
    }
)


def test_the_summary_counts_every_image_once_per_kind_of_row() -> None:
    table = summarise_review(reviewed(b_and_half_of_a))
    assert list(table) == own_columns("review_summary")
    for what in ("all", "engine", "reference"):
        rows = table[table["what"] == what]
        assert rows[["images", "decided", "rejected"]].sum().tolist() == [24, 24, 12]
    by_name = table[table["what"] == "reference"].set_index("name")
    assert by_name["rate"].tolist() == [0.5, 1.0, 0.0]
    assert by_name.loc["b", "low"] == pytest.approx(8 / (8 + 1.959964**2))  # Wilson, all of 8
    reasons = table.loc[table["what"] == "reason", ["name", "rejected"]]
    assert reasons.to_numpy().tolist() == [["x", 12]]
    assert "24 of 24 were decided, 12 of them rejected" in review_notes(table)[0]
    assert review_notes(summarise_review(None)) == []


def test_refused_real_images_are_no_parents_and_unsure_ones_stay(caplog) -> None:
    with caplog.at_level(logging.INFO):
        left = without_refused_parents(BASE, reviewed(b_and_half_of_a))
    assert left["sample_id"].tolist() == ["a", "c"]
    assert "plate/dent: a person refused what is made from b" in caplog.text
    few = without_refused_parents(BASE, reviewed(lambda name, *_: name == "b", decided=3))
    assert few["sample_id"].tolist() == NAMES  # 3 of 3 may be chance
    assert without_refused_parents(BASE, None) is BASE


def test_a_type_whose_images_were_nearly_all_refused_keeps_its_real_ones(caplog) -> None:
    left = without_refused_parents(BASE, reviewed(lambda name, *_: name != "c"))
    assert left["sample_id"].tolist() == NAMES
    assert "nearly all was rejected" in caplog.text


def test_what_a_refused_engine_made_is_not_held_against_the_real_ones() -> None:
    """Of b 7 of 8 are rejected, but only 3 of the 4 that the other engine made."""
    found = reviewed(lambda name, number, engine: engine == "paste" or (name == "b" and number < 5))
    assert without_refused_parents(BASE, found)["sample_id"].tolist() == NAMES


def test_the_share_of_a_refused_engine_goes_to_the_others(caplog) -> None:
    with caplog.at_level(logging.INFO):
        left = without_refused_engines(CHOICE, reviewed(all_paste))
    assert left["share"].tolist() == [0.5, 0.0, 0.5]
    assert "a person refused paste" in caplog.text
    assert CHOICE["share"].tolist() == [0.25, 0.5, 0.25]
    alone = CHOICE.assign(share=[0.0, 1.0, 0.0])
    assert without_refused_engines(alone, reviewed(all_paste))["share"].tolist() == [0.5, 0.0, 0.5]
    only = CHOICE.iloc[1:2]
    assert without_refused_engines(only, reviewed(all_paste))["share"].tolist() == [0.5]
    assert "all its engines were refused" in caplog.text


def test_the_dataset_finds_the_set_of_a_review(made: Made, tmp_path: Path) -> None:
    sets = made.images.root.parents[1]
    assert ReviewDataset(review=None, path=str(sets)).load() is None
    decided = {"p-dent-0": {"verdict": "rejected", "reason": "no"}}
    path = write(tmp_path / "r.json", made.images, decided)
    dataset = ReviewDataset(review=str(path), path=str(sets))
    dataset.check()
    found = dataset.load()
    assert found.images.root == made.images.root
    assert dataset.source.startswith(f"{path}, sha256 ")
    table = summarise_review(found)
    whole = table[table["what"] == "all"].set_index(["category", "defect_type"])
    assert whole.loc[KIND, ["images", "decided", "rejected"]].tolist() == [4, 1, 1]
    other = write(tmp_path / "other.json", made.images, {}, set="beef")
    with refused("of no set of this project", str(other), "set beef of v1"):
        ReviewDataset(review=str(other), path=str(sets)).check()
    with refused("cannot be read", "none.json"):
        ReviewDataset(review=str(tmp_path / "none.json"), path=str(sets)).check()
