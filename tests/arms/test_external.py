"""Pairs of other systems: the layouts they write, the masks they write, and bad folders."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from categories import save
from defectsynth_pipeline.arms.external import read_external
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import ExternalOptions, IngestOptions

from .pairs import TYPES, made, write_plate


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return make_samples(write_plate(tmp_path_factory.mktemp("parts")), IngestOptions())


def _grey(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def _rgb(mask: np.ndarray) -> np.ndarray:
    return np.repeat(_grey(mask)[..., None], 3, axis=2)


def _anomalydiffusion(root: Path) -> None:
    for defect_type in TYPES:
        place = root / "plate" / defect_type
        for index in range(3):
            image, mask = made(index)
            for folder in ("image", "ori", "recon", "image-mask"):
                save(place / folder / f"{index}.jpg", image, quality=95)
            save(place / "mask" / f"{index}.jpg", _rgb(mask), quality=90)


def _seas(root: Path) -> None:
    for defect_type in TYPES:
        for index in range(3):
            image, mask = made(index)
            save(root / "plate" / defect_type / "image" / f"{index:03d}.png", image)
            save(root / "plate" / defect_type / "mask" / f"{index:03d}.png", _grey(mask))


def _dualanodiff(root: Path) -> None:
    for defect_type in TYPES:
        for index in range(3):
            image, mask = made(index)
            for folder in ("image", "fg"):
                save(root / "plate" / defect_type / folder / f"{index}.png", image)
            save(root / "plate" / defect_type / "mask" / f"{index}.png", _rgb(mask))


def _dfmgan(root: Path) -> None:
    for defect_type in TYPES:
        for index in range(3):
            image, mask = made(index)
            save(root / f"plate_{defect_type}" / f"{index}_img.png", image)
            save(root / f"plate_{defect_type}" / f"{index}_good.png", image)
            save(root / f"plate_{defect_type}" / f"{index}_mask.png", _rgb(mask))


def _defect_gen(root: Path) -> None:
    for defect_type in TYPES:
        place = root / "plate" / defect_type
        for index in range(3):
            image, mask = made(index)
            name = f"{index:06d}_0_0.png"
            save(place / "images" / f"samples_image_{name}", image)
            save(place / "masks" / f"samples_mask_{name}", _rgb(mask) * np.uint8([0, 0, 1]))
            converted = place / "masks_converted_dir" / f"samples_converted_mask_{name}"
            save(converted, mask.astype(np.uint8))


def _defectdiffu(root: Path) -> None:
    for defect_type in TYPES:
        for index in range(3):
            image, mask = made(index)
            save(root / f"plate {defect_type}_{index / 2}.png", image)
            save(root / f"plate {defect_type}_{index / 2}_mask.png", _rgb(mask))


def _mvtec(root: Path) -> None:
    for defect_type in TYPES:
        for index in range(3):
            image, mask = made(index)
            save(root / "plate" / "test" / defect_type / f"{index:03d}.png", image)
            truth = root / "plate" / "ground_truth" / defect_type
            save(truth / f"{index:03d}_mask.png", _grey(mask))


WRITERS = {
    "folders": [_anomalydiffusion, _seas, _dualanodiff, _defect_gen],
    "suffix": [_dfmgan, _defectdiffu],
    "mvtec": [_mvtec],
}


@pytest.mark.parametrize("chosen", ["auto", "named"])
@pytest.mark.parametrize(
    ("layout", "write"), [(name, w) for name, writers in WRITERS.items() for w in writers]
)
def test_layouts_of_other_systems(
    tmp_path: Path,
    samples: pd.DataFrame,
    layout: str,
    write: Callable[[Path], None],
    chosen: str,
) -> None:
    write(tmp_path)
    options = ExternalOptions(path=str(tmp_path), layout="auto" if chosen == "auto" else layout)

    found = read_external("other", options, samples)

    assert found.pairs.groupby("defect_type").size().to_dict() == {"dent": 3, "scratch": 3}
    assert found.pairs["image_id"].is_unique
    for position, row in found.pairs.iterrows():
        image, mask = made(int(str(position)) % 3)
        example = found.example(row["image_id"])
        assert example.mask.dtype == bool
        assert np.logical_xor(example.mask, mask).sum() <= 3
        assert np.abs(example.image.astype(float) - image).mean() < 3


@pytest.mark.parametrize("kind", ["0/1", "0/255", "RGB", "RGB 0/1", "classes", "one bit", "16 bit"])
def test_masks_of_every_kind(tmp_path: Path, samples: pd.DataFrame, kind: str) -> None:
    _seas(tmp_path)
    _, mask = made(1)
    classes = mask.astype(np.uint8)
    classes[:40] *= 3
    written = {
        "0/1": mask.astype(np.uint8),
        "0/255": _grey(mask),
        "RGB": _rgb(mask),
        "RGB 0/1": _rgb(mask) // 255,
        "classes": classes,
        "one bit": mask,
        "16 bit": mask.astype(np.uint16) * 65535,
    }[kind]
    save(tmp_path / "plate" / "dent" / "mask" / "001.png", written)

    found = read_external("other", ExternalOptions(path=str(tmp_path)), samples)

    assert (found.example("plate/dent/001").mask == mask).all()


def test_the_folders_of_a_lone_type_may_be_left_out(tmp_path: Path, samples: pd.DataFrame) -> None:
    for index in range(2):
        image, mask = made(index)
        save(tmp_path / "images" / f"{index}.png", image)
        save(tmp_path / "masks" / f"{index}.png", _grey(mask))
    dents = samples[samples["defect_type"].isin(["dent", "good"])]

    found = read_external("other", ExternalOptions(path=str(tmp_path)), dents)

    assert found.pairs["image_id"].tolist() == ["plate/dent/0", "plate/dent/1"]


def test_a_type_is_not_taken_for_another_that_begins_alike(
    tmp_path: Path, samples: pd.DataFrame
) -> None:
    both = samples.replace({"defect_type": {"scratch": "dent_deep"}})
    for defect_type, count in (("dent", 2), ("dent_deep", 4)):
        for index in range(count):
            image, mask = made(index)
            save(tmp_path / f"plate {defect_type}_{index}.png", image)
            save(tmp_path / f"plate {defect_type}_{index}_mask.png", _grey(mask))

    found = read_external("other", ExternalOptions(path=str(tmp_path)), both)

    assert found.pairs.groupby("defect_type").size().to_dict() == {"dent": 2, "dent_deep": 4}


def test_a_sheet_is_cut_into_its_images(tmp_path: Path, samples: pd.DataFrame) -> None:
    for defect_type in TYPES:
        sheet = np.zeros((260, 2 + 3 * 258, 3), np.uint8)
        masks = np.zeros((260, 2 + 3 * 258), np.uint8)
        for index in range(3):
            image, mask = made(index, 256)
            place = np.s_[2:258, 2 + 258 * index : 258 * (index + 1)]
            sheet[place], masks[place] = image, _grey(mask)
        save(tmp_path / f"plate {defect_type}_0.5.png", sheet)
        save(tmp_path / f"plate {defect_type}_0.5_mask.png", masks)

    found = read_external("other", ExternalOptions(path=str(tmp_path)), samples)

    assert len(found.pairs) == 6
    example = found.example("plate/dent/plate dent_0.5#2")
    image, mask = made(2, 256)
    assert (example.image == image).all()
    assert (example.mask == mask).all()


def test_empty_masks_are_left_out_and_said_so(
    tmp_path: Path, samples: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    _seas(tmp_path)
    save(tmp_path / "plate" / "dent" / "mask" / "001.png", np.zeros((80, 80), np.uint8))
    save(tmp_path / "plate" / "dent" / "mask" / "002.png", np.full((80, 80), 255, np.uint8))

    with caplog.at_level(logging.WARNING):
        found = read_external("other", ExternalOptions(path=str(tmp_path)), samples)

    assert (found.pairs["defect_type"] == "dent").sum() == 1
    assert "plate/dent: 2 masks are empty or cover the image" in caplog.text


def _break_no_mask(root: Path) -> None:
    (root / "plate" / "dent" / "mask" / "001.png").unlink()


def _break_no_image(root: Path) -> None:
    (root / "plate" / "dent" / "image" / "002.png").unlink()


def _break_no_masks_at_all(root: Path) -> None:
    (root / "plate" / "dent" / "mask").rename(root / "plate" / "dent" / "fg")


def _break_size(root: Path) -> None:
    save(root / "plate" / "scratch" / "mask" / "000.png", _grey(made(0, 96)[1]))


def _break_truncated(root: Path) -> None:
    path = root / "plate" / "scratch" / "image" / "000.png"
    path.write_bytes(path.read_bytes()[:300])


def _break_photograph(root: Path) -> None:
    save(root / "plate" / "scratch" / "mask" / "000.png", made(7)[0])


def _break_type(root: Path) -> None:
    (root / "plate" / "scratch").rename(root / "plate" / "scratches")


def _break_all_empty(root: Path) -> None:
    for index in range(3):
        empty = np.zeros((80, 80), np.uint8)
        save(root / "plate" / "dent" / "mask" / f"{index:03d}.png", empty)


def _break_two_of_one_name(root: Path) -> None:
    folder = root / "plate" / "dent" / "image"
    save(folder / "image_001.png", made(1)[0])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_break_no_mask, ["the image has no mask", "dent/image/001.png", "3 images, 2 masks"]),
        (_break_no_image, ["the mask has no image", "dent/mask/002.png", "2 images, 3 masks"]),
        (_break_no_masks_at_all, ["the image has no mask", "dent/image/000.png", "0 masks"]),
        (
            _break_size,
            ["another size", "mask/000.png", "image/000.png", "mask 96x96, image 80x80"],
        ),
        (_break_truncated, ["cannot be decoded", "scratch/image/000.png", "300 bytes"]),
        (_break_photograph, ["neither binary nor near-binary", "scratch/mask/000.png"]),
        (_break_type, ["has no pairs of plate/scratch", "ground_truth"]),
        (_break_all_empty, ["no usable pairs of plate/dent", "mask/000.png", "3 masks empty"]),
        (_break_two_of_one_name, ["belong to one pair", "001.png"]),
    ],
)
def test_bad_folders(
    tmp_path: Path,
    samples: pd.DataFrame,
    spoil: Callable[[Path], None],
    expected: list[str],
) -> None:
    _seas(tmp_path)
    spoil(tmp_path)

    with pytest.raises(InputError) as caught:
        read_external("other", ExternalOptions(path=str(tmp_path)), samples)
    for text in (*expected, "file:", "value:", "remedy:"):
        assert text in str(caught.value)


def test_missing_folder(tmp_path: Path, samples: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"does not exist(.|\n)*nowhere(.|\n)*arms.external.other"):
        read_external("other", ExternalOptions(path=str(tmp_path / "nowhere")), samples)


def test_a_link_that_leaves_the_folder(tmp_path: Path, samples: pd.DataFrame) -> None:
    _seas(tmp_path / "out")
    image = tmp_path / "out" / "plate" / "dent" / "image" / "000.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")

    with pytest.raises(InputError, match="leaves the corpus root"):
        read_external("other", ExternalOptions(path=str(tmp_path / "out")), samples)


def test_an_unknown_image_id(tmp_path: Path, samples: pd.DataFrame) -> None:
    _seas(tmp_path)
    found = read_external("other", ExternalOptions(path=str(tmp_path)), samples)

    with pytest.raises(InputError, match="plate/dent/999"):
        found.example("plate/dent/999")
