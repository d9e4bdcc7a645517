"""A test image where training could see it stops the run, and both paths are named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from categories import save
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.defectsynth import External
from defectsynth_pipeline.arms.external import ExternalSet, read_external
from defectsynth_pipeline.arms.leaks import check_leaks
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ExternalOptions, IngestOptions
from refusals import refused

from .pairs import TYPES, made, write_plate


@pytest.fixture
def samples(tmp_path: Path) -> pd.DataFrame:
    return make_samples(write_plate(tmp_path / "parts"), IngestOptions())


def _ids(samples: pd.DataFrame, split: str, defect_type: str = "dent") -> list[str]:
    chosen = (samples["split"] == split) & samples["defect_type"].isin([defect_type, "good"])
    return samples.loc[chosen, "sample_id"].tolist()


def _file(samples: pd.DataFrame, sample_id: str) -> Path:
    row = samples.set_index("sample_id").loc[sample_id]
    return Path(row["root"]) / row["image"]


def _sets(tmp_path: Path, samples: pd.DataFrame, **changed: str) -> tuple[ImageSet, ImageSet]:
    base, normal = _ids(samples, "base"), _ids(samples, "normal")
    row = {
        "background": normal[0],
        "reference": base[0],
        "others": "",
        "parents": "|".join(base[:2]),
    } | changed
    synthetic = pd.DataFrame([row | {"image_id": "s0"}]).drop(columns="parents")
    masks = pd.DataFrame([{"image_id": "m0", "parents": row["parents"]}])
    return ImageSet(tmp_path / "synthetic", synthetic), ImageSet(tmp_path / "masks", masks)


def _external(tmp_path: Path, samples: pd.DataFrame) -> ExternalSet:
    for defect_type in TYPES:
        place = tmp_path / "other" / "plate" / defect_type
        for index in range(3):
            image, mask = made(index + 10 * len(defect_type))
            if not (place / "image" / f"{index}.png").exists():
                save(place / "image" / f"{index}.png", image)
            save(place / "mask" / f"{index}.png", mask)
    return read_external("other", ExternalOptions(path=str(tmp_path / "other")), samples)


def _check(tmp_path: Path, samples: pd.DataFrame, external: bool = False, **changed: str) -> None:
    sets = {"other": _external(tmp_path, samples)} if external else {}
    check_leaks(samples, *_sets(tmp_path, samples, **changed), sets)


def _fails(expected: list[str | Path], tmp_path: Path, samples: pd.DataFrame, **given: Any) -> None:
    with pytest.raises(InputError) as caught:
        _check(tmp_path, samples, **given)
    for text in (*expected, "remedy:"):
        assert str(text) in str(caught.value)


def test_nothing_is_found_where_nothing_leaks(tmp_path: Path, samples: pd.DataFrame) -> None:
    _check(tmp_path, samples, external=True)


def test_a_test_image_copied_over_a_base_image(tmp_path: Path, samples: pd.DataFrame) -> None:
    base = _file(samples, _ids(samples, "base")[1])
    test = _file(samples, _ids(samples, "test")[0])
    shutil.copy(test, base)

    _fails(["a training image is a test image", base, test], tmp_path, samples)


def test_a_test_image_saved_anew_over_a_normal_image(tmp_path: Path, samples: pd.DataFrame) -> None:
    normal = _file(samples, _ids(samples, "normal")[2])
    test = _file(samples, _ids(samples, "test")[3])
    with Image.open(test) as image:
        image.save(normal, compress_level=1)
    assert normal.read_bytes() != test.read_bytes()

    _fails(["copies a test image", normal, test], tmp_path, samples)


def test_a_test_image_copied_into_the_base_folder_before_ingest(
    tmp_path: Path, samples: pd.DataFrame
) -> None:
    test = _file(samples, "parts/plate/good/test-001")
    copy = test.parents[2] / "train" / "good" / "099.png"
    shutil.copy(test, copy)

    with pytest.raises(InputError, match=r"test/good/001.png and .*train/good/099.png"):
        make_samples(tmp_path / "parts", IngestOptions())


@pytest.mark.parametrize("split", ["base", "test"])
def test_a_file_changed_after_ingest(tmp_path: Path, samples: pd.DataFrame, split: str) -> None:
    changed = _file(samples, _ids(samples, split)[0])
    save(changed, made(77)[0])

    _fails(["changed after ingest", changed], tmp_path, samples)


@pytest.mark.parametrize("column", ["background", "reference", "others", "parents"])
def test_a_synthetic_image_made_from_a_test_sample(
    tmp_path: Path, samples: pd.DataFrame, column: str
) -> None:
    leaked = _ids(samples, "test")[0]
    entry = f"{_ids(samples, 'base')[0]}|{leaked}" if column == "parents" else leaked
    picture = "masks/masks/m0.png" if column == "parents" else "synthetic/images/s0.png"

    expected = [column, "is a test sample", picture, _file(samples, leaked), leaked]
    _fails(expected, tmp_path, samples, **{column: entry})


@pytest.mark.parametrize("column", ["background", "reference", "others", "parents"])
def test_a_synthetic_image_of_other_samples(
    tmp_path: Path, samples: pd.DataFrame, column: str
) -> None:
    other = "parts/other/dent/000"

    _fails(["do not have", other, "run augment again"], tmp_path, samples, **{column: other})


@pytest.fixture
def few(tmp_path: Path) -> pd.DataFrame:
    """Samples of which `shots` left two dents and two scratches out."""
    return make_samples(write_plate(tmp_path / "parts"), IngestOptions(base_share=0.7, shots=2))


@pytest.mark.parametrize("column", ["background", "reference", "others", "parents"])
def test_a_synthetic_image_made_from_an_unused_sample(
    tmp_path: Path, few: pd.DataFrame, column: str
) -> None:
    left = _ids(few, "unused")[0]

    expected = [f"the {column} of a generated", "is an unused sample", _file(few, left), left]
    _fails(expected, tmp_path, few, **{column: left})


def test_an_unused_sample_is_in_no_bank_and_its_file_may_go(
    tmp_path: Path, few: pd.DataFrame
) -> None:
    left = _ids(few, "unused")
    bank = Bank(few, *_sets(tmp_path, few))
    assert not set(left) & {*bank.base("plate")["sample_id"], *bank.normals("plate")["sample_id"]}
    with refused("an unused image reached a training set", left[0]):
        bank.sample(left[0])

    _file(few, left[0]).unlink()
    _check(tmp_path, few, external=True)


@pytest.mark.parametrize("way", ["equal", "jpeg", "half size", "other type"])
def test_a_test_image_in_an_external_set(tmp_path: Path, samples: pd.DataFrame, way: str) -> None:
    kind = "scratch" if way == "other type" else "dent"
    test = _file(samples, next(i for i in _ids(samples, "test", kind) if kind in i))
    planted = tmp_path / "other" / "plate" / "dent" / "image" / "1.png"
    picture = Image.open(test)
    if way == "jpeg":
        picture.save(tmp_path / "x.jpg", quality=70)
        picture = Image.open(tmp_path / "x.jpg")
    if way == "half size":
        picture = picture.resize((40, 40), Image.Resampling.BOX).resize((80, 80))
    save(planted, np.array(picture))

    expected = ["external set other is a copy of a test image", planted, test]
    _fails(expected, tmp_path, samples, external=True)


def test_parts_that_look_alike_are_no_copies(tmp_path: Path) -> None:
    """One part on one fixture, photographed often: they differ by their grain and a mark."""
    part = made(5)[0].astype(int)

    def shot(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        image = part + rng.normal(0, 2, part.shape)
        y, x = rng.integers(10, 60, 2)
        image[y : y + 12, x : x + 12] += 25
        return np.clip(image, 0, 255).astype(np.uint8)

    root = write_plate(tmp_path / "parts")
    for number, path in enumerate(sorted(root.glob("plate/t*/*/*.png"))):
        save(path, shot(number))
    samples = make_samples(root, IngestOptions())
    for defect_type in TYPES:
        for index in range(3):
            place = tmp_path / "other" / "plate" / defect_type / "image"
            save(place / f"{index}.png", shot(500 + index))

    _check(tmp_path, samples, external=True)


def test_fewer_external_images_than_asked(tmp_path: Path, samples: pd.DataFrame) -> None:
    external = _external(tmp_path, samples)
    bank = Bank(samples, *_sets(tmp_path, samples), {"other": external})
    assert len(External("other").plan(bank, "plate", TYPES, 6, 0)) == 6

    with pytest.raises(InputError, match=r"fewer images than asked(.|\n)*3 images, 4 asked"):
        External("other").plan(bank, "plate", TYPES, 8, 0)
