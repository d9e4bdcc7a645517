from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from defectsynth_pipeline.corpora.layout import find_corpora
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.demo import writer as demo_module
from defectsynth_pipeline.demo.flange import draw_flange
from defectsynth_pipeline.demo.textures import draw_pavement
from defectsynth_pipeline.demo.writer import write_demo
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.pixels import to_float
from defectsynth_pipeline.options import IngestOptions


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def samples(demo: Path) -> pd.DataFrame:
    return make_samples(demo, IngestOptions())


def test_three_layouts_with_enough_of_everything(demo: Path, samples: pd.DataFrame) -> None:
    assert [corpus.layout for corpus in find_corpora(demo)] == ["deepcrack", "gdxray", "mvtec"]
    base = samples[samples["split"] == "base"].groupby("defect_type").size()

    assert set(base.index) == {"pinhole", "dent", "scratch", "stain", "crack", "defect"}
    assert base.between(5, 10).all()
    test = samples[(samples["split"] == "test") & (samples["defect_type"] != "good")]
    assert (test.groupby("defect_type").size() >= 10).all()
    normal = samples[samples["split"] == "normal"].groupby("category").size()
    assert normal.min() >= 5
    assert normal[["flange", "fabric"]].min() >= 30


def test_one_type_is_large_one_thin_and_one_tiny(samples: pd.DataFrame) -> None:
    masks = {
        str(name): [Sample.of(row).mask() for row in rows.itertuples()]
        for name, rows in samples[samples["defect_type"] != "good"].groupby("defect_type")
    }
    area = {name: np.mean([mask.mean() for mask in group]) for name, group in masks.items()}

    assert area["stain"] >= 0.053
    assert area["pinhole"] < 0.001
    for name in ("crack", "scratch"):
        depth = [ndimage.distance_transform_edt(mask)[mask].max() for mask in masks[name]]
        assert np.median(depth) < 4
        assert area[name] < 0.03


def test_defects_are_visible_inside_their_masks(samples: pd.DataFrame) -> None:
    for row in samples[samples["defect_type"] != "good"].itertuples():
        image, mask = to_float(Sample.of(row).image()).mean(axis=2), Sample.of(row).mask()
        near = ndimage.binary_dilation(mask, iterations=5)
        ring = near & ~ndimage.binary_dilation(mask, iterations=2)
        change = abs(image[mask].mean() - image[ring].mean()) + image[mask].std()
        assert change > 0.03, row.sample_id


def test_only_a_defective_part_has_a_mask() -> None:
    image, mask = draw_flange(np.random.default_rng(5), "scratch")

    assert image.shape == (256, 256, 3)
    assert image.dtype == np.uint8
    assert mask.any()
    assert not draw_flange(np.random.default_rng(5))[1].any()


def test_crack_masks_are_anti_aliased() -> None:
    _, coverage = draw_pavement(np.random.default_rng(1))

    assert len(np.unique(coverage)) > 5
    assert 0 < (coverage > 127).mean() < 0.05


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEFECTS_PER_TYPE", "TRAIN_GOOD", "TEST_GOOD", "RADIOGRAPHS", "CRACKS_TRAIN"):
        monkeypatch.setattr(demo_module, name, 1)
    monkeypatch.setattr(demo_module, "CRACKS_TEST", 0)


@pytest.mark.usefixtures("small")
def test_same_seed_same_files(tmp_path: Path) -> None:
    first, again, other = (
        _digest(write_demo(tmp_path / name, seed=seed) / "mvtec")
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )

    assert first == again
    assert first != other


@pytest.mark.usefixtures("small")
def test_written_once(tmp_path: Path) -> None:
    folder = write_demo(tmp_path / "demo")
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    assert write_demo(folder) == folder
    assert times == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    with pytest.raises(InputError, match=r"something else(.|\n)*demo(.|\n)*empty folder"):
        write_demo(folder, seed=3)


@pytest.mark.usefixtures("small")
def test_nothing_is_left_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, seed: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo_module, "_write_cracks", full)
    with pytest.raises(OSError, match="No space"):
        write_demo(tmp_path / "demo")

    assert not list(tmp_path.iterdir())


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")

    with pytest.raises(InputError, match=r"something else(.|\n)*remedy: name an empty"):
        write_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
