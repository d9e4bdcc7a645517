"""Zones: what they allow, that they fit, and the nearest place in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from categories import save
from defectsynth_pipeline.corpora.arrays import as_samples
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.corpora.zones import MARGIN, allowed_on, nearest_place, zone_hashes
from defectsynth_pipeline.options import IngestOptions
from refusals import refused

from .builders import SIZE

READ = IngestOptions()


def half(columns: slice, *, size: int = SIZE) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[:, columns] = True
    return mask


def zone(root: Path, name: str, mask: np.ndarray) -> Path:
    return save(root / "zones" / f"{name}.png", mask)


def test_legal_and_forbidden_zones_join(part: Path) -> None:
    samples = make_samples(part, READ)
    normal = Sample.of(samples[samples["split"] == "normal"].iloc[0])
    assert allowed_on(normal) is None
    assert zone_hashes(samples) == []
    zone(part, "plate_legal", half(slice(0, 40)))
    told = zone_hashes(samples)
    assert [name for name, _ in told] == ["plate_legal.png"]
    assert (allowed_on(normal) == half(slice(0, 40))).all()
    zone(part, "plate_forbidden", half(slice(0, 8)))
    assert make_samples(part, READ).equals(samples)
    assert (allowed_on(normal) == half(slice(8, 40))).all()
    before = zone_hashes(samples)
    assert before[1:] == told
    zone(part, "plate_forbidden", half(slice(0, 10)))  # changed in the meantime
    assert zone_hashes(samples) != before
    assert (allowed_on(normal) == half(slice(10, 40))).all()


@pytest.mark.parametrize(
    ("name", "mask", "expected"),
    [
        ("plate_legal", half(slice(0, 9), size=50), ["another size", "zone 50x50", "48x48"]),
        ("plates_legal", half(slice(0, 9)), ["no category", "plates_legal", "plate_legal"]),
        ("plate", half(slice(0, 9)), ["no category", "plate_forbidden"]),
        ("plate_forbidden", half(slice(None)), ["leave no place", "0 pixels"]),
        ("plate_legal", half(slice(0, 5)), ["no real defect of a type fits", "plate/dent"]),
        ("plate_legal", np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1)), ["black and white"]),
    ],
)
def test_bad_zones(part: Path, name: str, mask: np.ndarray, expected: list[str]) -> None:
    zone(part, name, mask)
    with refused("remedy: ", *expected, "zones"):
        make_samples(part, READ)


def test_zones_of_categories_left_out(part: Path) -> None:
    zone(part, "other_legal", half(slice(0, 20)))
    make_samples(part, IngestOptions(categories=["plate"]))
    with refused("of no category"):
        make_samples(part, READ)


def test_arrays_have_no_zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "part_legal", half(slice(0, 4)))
    monkeypatch.chdir(tmp_path)
    assert allowed_on(as_samples([], [], normals=[np.zeros((48, 48), np.uint8)])[0]) is None


@pytest.mark.parametrize("side", [60, 700])  # searched pixel by pixel, and in cells first
def test_the_nearest_place_is_found(side: int) -> None:
    rng = np.random.default_rng(side)
    allowed = np.zeros((side, side + 20), dtype=bool)
    allowed[side // 2 :, side // 2 :] = True
    for _ in range(5):
        top, left = rng.integers(0, side // 2, 2)
        mask = np.zeros_like(allowed)
        mask[top : top + 7, left : left + 9] = True
        down, right = nearest_place(mask, allowed) or (0, 0)
        moved = np.zeros_like(mask)
        moved[top + down : top + down + 7, left + right : left + right + 9] = True
        assert moved.sum() == mask.sum()
        assert not (moved & ~allowed).any()
        slack = side // 192 + 1
        assert 0 <= top + down - side // 2 - MARGIN <= slack
        assert 0 <= left + right - side // 2 - MARGIN <= slack
        assert nearest_place(moved, allowed) == (0, 0)
