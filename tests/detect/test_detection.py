"""Thresholds, boxes, and photographs that cannot be used."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from categories import save, surface, surface16
from defectsynth_pipeline.detect.detection import Finding, between, boxes
from defectsynth_pipeline.detect.photographs import find_photographs, read_photographs
from defectsynth_pipeline.detect.writing import heat_map
from refusals import refused

KNOWN = pd.DataFrame({"height": [64, 64], "width": [80, 80]})


@pytest.mark.parametrize(
    ("defects", "goods", "score", "found", "alarms"),
    [
        ([4, 5, 9], [-2, 0, 2], 3, 1, 0),
        ([4, 5, 9], [-2, 0, 4.5], 2, 1, 1 / 3),  # as good as 4.75, in a wider gap
        ([4, 5, 9, 9, 9], [-2, 0, 4.5], 4.75, 4 / 5, 0),
    ],
)
def test_the_threshold_lies_between(defects, goods, score, found, alarms):
    got = between(np.array(defects, float), np.array(goods, float))
    assert got.score == pytest.approx(score)
    assert (got.found, got.alarms) == (pytest.approx(found), pytest.approx(alarms))


def test_no_good_images_leave_all_defects_found():
    assert between(np.array([1.0, 2.0]), np.array([])).found == 1


def test_boxes_are_those_of_the_parts_highest_first():
    logits = np.full((20, 30), -5.0)
    logits[2:4, 3:8], logits[10:15, 20:21] = 1.0, 7.0
    assert boxes(logits, 0) == ((20, 10, 1, 5), (3, 2, 5, 2))
    assert boxes(logits, 8) == ()


def test_what_cannot_be_used_is_said_and_the_rest_is_read(tmp_path):
    save(tmp_path / "a.png", surface(1))
    save(tmp_path / "sub" / "twice.png", surface(2, (128, 160, 3)))
    save(tmp_path / "deep.png", surface16(3))
    save(tmp_path / "tall.png", surface(4, (90, 40)))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG and no more")
    found = {p.name: p for p in read_photographs(tmp_path, find_photographs(tmp_path), KNOWN)}
    used = {name: photo.image.shape[:2] for name, photo in found.items() if photo.image is not None}
    assert used == dict.fromkeys(("a.png", "sub/twice.png", "deep.png"), (64, 80))
    assert found["a.png"].note == found["deep.png"].note == ""
    assert "brought from 160x128 to 80x64" in found["sub/twice.png"].note
    assert "40x90, the detector was trained on 80x64" in found["tall.png"].note
    assert "cannot be decoded" in found["broken.png"].note


def test_no_photographs_are_refused(tmp_path):
    with refused("no photographs", str(tmp_path)):
        find_photographs(tmp_path)
    with refused("no such folder"):
        find_photographs(tmp_path / "none")


def test_a_heat_map_leaves_what_is_usual_as_it_is_and_marks_the_box():
    image, logits = surface(0), np.full((64, 80), -9.0, np.float32)
    logits[20:30, 40:50] = 9
    shown = heat_map(image, Finding(logits, 9, boxes(logits, 0), "dent", 1.0), 0)
    assert (shown[:10] == image[:10]).all()
    assert shown[19, 45].tolist() == [255, 40, 40]
    assert (shown[25, 45] != image[25, 45]).any()
