"""Two shots of one defect stay on one side of the split; parts that look alike do not matter."""

from __future__ import annotations

import logging
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from categories import save
from defectsynth_pipeline.corpora import duplicates
from defectsynth_pipeline.corpora.duplicates import alike, details
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.corpora.thumbnails import copies
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions
from refusals import refused

SIDE = 128


def _field(seed: int, sigma: float, strength: float) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    values = ndimage.gaussian_filter(values, sigma, mode="wrap")
    return np.asarray(values / values.std() * strength)


def _part(seed: int, *, dent: bool, alike: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A disc on a fixture, with a grain of its own and perhaps a rough dent."""
    y, x = np.indices((SIDE, SIDE))
    image = np.where(np.hypot(y - 64, x - 64) < 48, 150.0, 60.0)
    image = image + _field(seed, 3, 12 if alike else 30)
    mask = np.zeros((SIDE, SIDE), bool)
    if dent:
        row, column = (64, 64) if alike else np.random.default_rng(seed).integers(40, 88, 2)
        mask = np.hypot(y - row, x - column) < 14
        image[mask] -= 40 + _field(seed + 1, 1.5, 15)[mask]
    return image.clip(0, 255), mask


def _write(root: Path, name: str, image: np.ndarray, mask: np.ndarray | None = None) -> None:
    folder, place = root / "disc", "train/good" if mask is None else "test/dent"
    save(folder / place / f"{name}.png", image.astype(np.uint8))
    if mask is not None:
        save(folder / "ground_truth" / "dent" / f"{name}_mask.png", mask)


def _write_discs(root: Path, good: int, dented: int) -> Path:
    for index in range(good):
        _write(root, f"{index:03d}", _part(500 + index, dent=False)[0])
    for index in range(dented):
        _write(root, f"{index:03d}", *_part(10 * index, dent=True))
    return root


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    """Eight dented discs with the dent at one place, and ten good ones, all on one fixture."""
    return _write_discs(tmp_path / "discs", good=10, dented=8)


def _again(root: Path, name: str, way: str) -> None:
    """Write another shot of dent 003."""
    image, mask = _part(30, dent=True)
    if way == "jpeg":
        save(root / "x.jpg", image.astype(np.uint8))
        image = np.array(Image.open(root / "x.jpg")).astype(float)
        (root / "x.jpg").unlink()
    if way == "brighter":
        image = np.clip(image * 1.1 + 6, 0, 255)
    if way == "shifted":
        image, mask = (np.roll(a, (2, -1), axis=(0, 1)) for a in (image, mask))
    if way == "grain":
        image = np.clip(image + np.random.default_rng(9).normal(0, 4, image.shape), 0, 255)
    if way == "smaller":
        size = (96, 96)
        image = np.array(Image.fromarray(image.astype(np.uint8)).resize(size)).astype(float)
        mask = np.array(Image.fromarray(mask).resize(size))
    _write(root, name, image, mask)


def _groups(root: Path) -> pd.Series:
    samples = make_samples(root, IngestOptions())
    return samples[samples["defect_type"] != "good"].set_index("sample_id")["group"]


def test_different_parts_on_one_fixture_are_not_joined(discs: Path) -> None:
    groups = _groups(discs)

    assert (groups == groups.index).all()


@pytest.mark.parametrize("way", ["jpeg", "brighter", "shifted", "grain", "smaller"])
def test_two_shots_of_one_defect_are_joined(
    discs: Path, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    _again(discs, "050", way)

    with caplog.at_level(logging.INFO):
        groups = _groups(discs)

    ident = "discs/disc/dent/"
    assert groups[ident + "050"] == groups[ident + "003"] == ident + "003"
    assert groups.nunique() == 8
    assert "003.png" in caplog.text
    assert "050.png show one defect twice" in caplog.text


def test_joined_shots_are_on_one_side_in_every_partition(discs: Path) -> None:
    _again(discs, "050", "jpeg")
    _again(discs, "051", "brighter")

    for partition in range(3):
        samples = make_samples(discs, IngestOptions(partition=partition)).set_index("sample_id")
        sides = samples.loc[[f"discs/disc/dent/{n}" for n in ("003", "050", "051")], "split"]
        assert sides.nunique() == 1


def test_one_part_with_two_defects_is_not_joined_by_its_looks(discs: Path) -> None:
    image, _ = _part(30, dent=False)
    y, x = np.indices((SIDE, SIDE))
    mask = np.hypot(y - 90, x - 64) < 10
    image[mask] += 50
    _write(discs, "050", image, mask)

    assert _groups(discs).nunique() == 9


def test_exact_copies_still_stop_the_run(discs: Path) -> None:
    _write(discs, "099", *_part(0, dent=True))

    with pytest.raises(InputError, match=r"000.png and (.|\n)*099.png"):
        make_samples(discs, IngestOptions(protocol="lowest_third"))


def test_a_copy_of_a_test_image_among_the_normals_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = _write_discs(tmp_path / "discs", good=6, dented=6)
    copy, _ = _part(700, dent=False)
    save(root / "disc" / "test" / "good" / "000.png", copy.astype(np.uint8))
    Image.fromarray(copy.astype(np.uint8)).save(root / "disc" / "train" / "good" / "a.jpg")

    make_samples(root, IngestOptions())

    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "train/good/a.jpg (normal) looks like a copy" in warnings[0]
    assert "test/good/000.png" in warnings[0]


@pytest.mark.parametrize(("own", "expected"), [(20.0, [(0, 0)]), (2.0, [])])
def test_a_copy_shares_what_sets_it_apart(own: float, expected: list[tuple[int, int]]) -> None:
    mean = np.full((64, 64), 100.0)
    pattern = np.where(np.indices(mean.shape).sum(0) % 2, 1.0, -1.0)
    picture = mean + own * pattern
    near = picture + 1.2 * _field(3, 2, 1)[:64, :64]
    assert copies(near[None], picture[None], mean) == expected


def test_a_thousand_images_take_seconds_at_most() -> None:
    pictures = np.random.default_rng(0).normal(128, 20, (1000, 64, 64)).astype(np.float32)
    pictures[700] = pictures[20] + 3
    start = perf_counter()
    pairs = alike(details(pictures, pictures.mean(axis=0)))
    assert perf_counter() - start < 20
    assert pairs == [(20, 700)]


def test_group_by_names_the_part(discs: Path) -> None:
    for index in range(8):
        for part in ("test/dent/{}.png", "ground_truth/dent/{}_mask.png"):
            path = discs / "disc" / part.format(f"{index:03d}")
            path.rename(path.with_name(path.name.replace(f"{index:03d}", f"{index // 2}_{index}")))

    samples = make_samples(discs, IngestOptions(group_by=r"^(\d+)_"))
    dents = samples[samples["defect_type"] == "dent"]

    assert sorted(set(dents["group"])) == [f"discs/disc/{n}" for n in range(4)]
    assert (dents.groupby("group")["split"].nunique() == 1).all()
    assert set(samples.loc[samples["defect_type"] == "good", "group"]).isdisjoint(dents["group"])


def test_a_part_with_defects_of_two_types_is_on_one_side(part: Path) -> None:
    """The stems of dents and scratches are the same, so each number is one part."""
    samples = make_samples(part, IngestOptions(group_by=r"^(\d+)$"))
    defects = samples[samples["defect_type"] != "good"]

    assert defects["group"].nunique() == 6
    assert (defects.groupby("group")["split"].nunique() == 1).all()
    base = defects[defects["split"] == "base"].groupby("defect_type").size()
    assert base.to_dict() == {"dent": 2, "scratch": 2}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("([", "not a regular expression"), (r"^\d+", "no group"), ("^(x+)$", "matches no file")],
)
def test_bad_patterns(part: Path, pattern: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"{message}(.|\n)*ingest.group_by(.|\n)*remedy"):
        make_samples(part, IngestOptions(group_by=pattern))


def test_a_pattern_that_takes_for_ever_is_stopped(
    part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_SECONDS", 0.05)
    dents = part / "plate" / "test" / "dent"
    name = "a" * 60 + "!"
    (dents / "000.png").rename(dents / f"{name}.png")
    masks = part / "plate" / "ground_truth" / "dent"
    (masks / "000_mask.png").rename(masks / f"{name}_mask.png")

    with refused("takes more than", "ingest.group_by", f"at {name}", remedy="repeat no group"):
        make_samples(part, IngestOptions(group_by="^((a|aa)+)$"))


@pytest.mark.parametrize(
    ("texture", "boxes", "expected"),
    [
        (1, ((40, 20), (40, 20)), True),
        (2, ((100, 100), (100, 100)), False),  # the shape alone, wherever the texture fits best
        (1, ((40, 20), (20, 40)), False),  # the texture alone
    ],
)
def test_one_defect_has_one_texture_and_one_shape(
    tmp_path: Path, texture: int, boxes: tuple[tuple[int, int], ...], expected: bool
) -> None:
    views = []
    for name, seed, (height, width) in zip("ab", (1, texture), boxes, strict=True):
        image = (128 + 40 * _field(seed, 2.0, 1.0)).clip(0, 255)
        mask = np.zeros((SIDE, SIDE), bool)
        top, left = (SIDE - height) // 2, (SIDE - width) // 2
        mask[top : top + height, left : left + width] = True
        save(tmp_path / f"{name}.png", image.astype(np.uint8))
        save(tmp_path / f"{name}_mask.png", mask)
        views.append(duplicates.View(tmp_path, f"{name}.png", f"{name}_mask.png", (SIDE, SIDE)))
    assert duplicates.same_defect(*views) == expected
