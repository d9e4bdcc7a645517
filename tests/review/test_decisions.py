"""A review is refused where it is not of this set, and otherwise changes what it says."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from defectsynth_pipeline import review
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.review.decisions import fingerprint_of_pictures
from refusals import refused


def write(path: Path, of_set: ImageSet, decided: dict[str, Any], **changes: Any) -> Path:
    told = {
        "format": "defectsynth-review-1",
        "set": "f00d",
        "pictures": fingerprint_of_pictures(of_set),
        "version": "v1",
        "images": decided,
    }
    path.write_text(json.dumps(told | changes))
    return path


def ids(table: Any) -> set[str]:
    return set(table["image_id"])


def test_what_a_person_decided_is_what_is_left(tmp_path, images, caplog):
    decided = {
        "p-dent-0": {"verdict": "rejected", "reason": "no defect", "time": "2026-01-01T00:00Z"},
        "p-dent-1": {"verdict": "accepted"},
        "p-dent-2": {"verdict": "accepted", "type": "scratch"},
        "p-dent-3": {"verdict": "accepted", "reason": "a good one"},
        "p-scratch-3": {"verdict": "rejected"},
    }
    found = review.read_review(write(tmp_path / "r.json", images, decided, reviewer="Ö"), images)
    with caplog.at_level(logging.INFO):
        left = review.apply(found, images)
    assert "r.json by Ö: 5 of 16 images decided: 3 accepted (1 that" in caplog.text
    assert "2 rejected, 1 of another type" in caplog.text
    assert ids(left.manifest) == ids(images.manifest) - {"p-dent-0"} | {"p-dent-3"}
    assert ids(left.rejected) == {"x-dent-3", "x-scratch-3"}
    rows = left.manifest.set_index("image_id")
    assert rows.loc["p-dent-2", "defect_type"] == "scratch"
    assert rows.loc["p-dent-3", ["verdict", "reason"]].tolist() == [
        "accepted",
        "accepted by a person: a good one",
    ]
    assert set(rows.index[rows["reviewed"]]) == {"p-dent-1", "p-dent-2", "p-dent-3"}
    assert left.array("p-dent-3", "mask").any()
    same = [column for column in images.manifest if column != "defect_type"]
    told = rows.loc["p-dent-2", [c for c in same if c != "image_id"]]
    before = images.manifest.set_index("image_id").loc["p-dent-2", told.index]
    assert told.tolist() == before.tolist()


def test_nothing_decided_changes_nothing(tmp_path, images):
    left = review.apply(review.parse_review(write(tmp_path / "r.json", images, {})), images)
    assert left.manifest.drop(columns="reviewed").equals(images.manifest)
    assert ids(left.rejected) == ids(images.rejected)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"set": "beef"}, ("of another set", "set beef of v1, and not f00d", "--load-versions=")),
        ({"pictures": "0"}, ("other pictures", "pictures 0, and not")),
        ({"images": {"other": {"verdict": "accepted"}}}, ("not in the set", "other")),
        (
            {"images": {"p-dent-0": {"verdict": "accepted", "type": "hole"}}},
            ("defect type", "p-dent-0: hole", "use one of dent, scratch"),
        ),
        (
            {"images": {"p-dent-0": {"verdict": "maybe"}}},
            ("no decision", "images.p-dent-0.verdict: maybe", "'accepted' or 'rejected'"),
        ),
        (
            {"images": {"p-dent-0": {"verdict": "accepted", "score": 3}}},
            ("no decision", "score: 3"),
        ),
        ({"images": []}, ("no decision", "images: []")),
        ({"format": "other"}, ("as this release writes it", "format other")),
    ],
)
def test_a_review_of_something_else_is_refused_in_one_line(tmp_path, images, changes, named):
    path = write(tmp_path / "r.json", images, {}, **changes)
    with refused(named[0], str(path), *named[1:]):
        review.read_review(path, images)


@pytest.mark.parametrize("content", ["", '{"format": "defect', "[1]", "7", '{"a": 1}'])
def test_a_file_that_is_no_review(tmp_path, images, content):
    path = tmp_path / "r.json"
    path.write_text(content)
    with refused("JSON|as this release", str(path), remedy="defectsynth review"):
        review.read_review(path, images)


def test_a_file_that_is_not_there_or_no_text(tmp_path, images):
    with refused("cannot be read", "No such file"):
        review.read_review(tmp_path / "none.json", images)
    (tmp_path / "r.json").write_bytes(b"\xff\xfe\x00")
    with refused("no whole JSON"):
        review.read_review(tmp_path / "r.json", images)
