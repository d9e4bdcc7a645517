"""What a review says of engines and real images, and what a next run leaves out."""

from __future__ import annotations

import logging
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


def reviewed(rejected: dict[str, int], decided: int = 6) -> Reviewed:
    """Of each of three references so many images are rejected; b is always the engine paste."""
    rows, decisions = [], {}
    for name in NAMES:
        for number in range(decided):
            image_id = f"{name}{number}"
            rows.append(
                {
                    "image_id": image_id,
                    "category": KIND[0],
                    "defect_type": KIND[1],
                    "engine": "paste" if name == "b" else "transfer",
                    "reference": name,
                    "verdict": "accepted",
                }
            )
            bad = number < rejected.get(name, 0)
            decisions[image_id] = Decision(verdict="rejected" if bad else "accepted", reason="x")
    review = Review(format=FORMAT, set="f", pictures="p", images=decisions, file=Path("r.json"))
    table = pd.DataFrame(rows)
    return Reviewed(review, ImageSet(Path("/none"), table, apart=table.iloc[:0]))


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
    table = summarise_review(reviewed({"a": 3, "b": 6}))
    assert list(table) == own_columns("review_summary")
    for what in ("all", "engine", "reference"):
        rows = table[table["what"] == what]
        assert (rows["images"].sum(), rows["decided"].sum(), rows["rejected"].sum()) == (18, 18, 9)
    by_name = table[table["what"] == "reference"].set_index("name")
    assert by_name["rate"].tolist() == [0.5, 1.0, 0.0]
    assert by_name.loc["b", "low"] == pytest.approx(0.6097, abs=1e-4)  # 6 of 6, Wilson
    assert table.loc[table["what"] == "reason", ["name", "rejected"]].to_numpy().tolist() == [
        ["x", 9]
    ]
    assert "18 of 18 were decided, 9 of them rejected" in review_notes(table)[0]
    assert review_notes(summarise_review(None)) == []


def test_refused_real_images_are_no_parents_and_unsure_ones_stay(caplog) -> None:
    with caplog.at_level(logging.INFO):
        left = without_refused_parents(BASE, reviewed({"a": 3, "b": 6}))
    assert left["sample_id"].tolist() == ["a", "c"]
    assert "plate/dent: a person refused what is made from b" in caplog.text
    few = without_refused_parents(BASE, reviewed({"b": 3}, decided=3))
    assert few["sample_id"].tolist() == NAMES  # 3 of 3 may be chance
    assert without_refused_parents(BASE, None) is BASE


def test_a_type_whose_images_were_nearly_all_refused_keeps_its_real_ones(caplog) -> None:
    left = without_refused_parents(BASE, reviewed({"a": 6, "b": 6, "c": 0}))
    assert left["sample_id"].tolist() == NAMES
    assert "nearly all was rejected" in caplog.text


def test_the_share_of_a_refused_engine_goes_to_the_others(caplog) -> None:
    with caplog.at_level(logging.INFO):
        left = without_refused_engines(CHOICE, reviewed({"b": 6}))
    assert left["share"].tolist() == [0.5, 0.0, 0.5]
    assert "a person refused paste" in caplog.text
    assert CHOICE["share"].tolist() == [0.25, 0.5, 0.25]
    alone = CHOICE.assign(share=[0.0, 1.0, 0.0])
    assert without_refused_engines(alone, reviewed({"b": 6}))["share"].tolist() == [0.5, 0.0, 0.5]
    only = CHOICE.iloc[1:2]
    assert without_refused_engines(only, reviewed({"b": 6}))["share"].tolist() == [0.5]
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
