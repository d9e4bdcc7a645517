"""Pairs of other systems: the layouts they write, the masks they write, and bad folders."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from categories import save
from defectsynth_pipeline.arms.external import ExternalSet, read_external
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import ExternalOptions, IngestOptions

from .pairs import TYPES, made, write_plate


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return make_samples(write_plate(tmp_path_factory.mktemp("parts")), IngestOptions())


EMPTY = np.zeros((80, 80), np.uint8)
THREE = {"dent": 3, "scratch": 3}


def _grey(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def _rgb(mask: np.ndarray) -> np.ndarray:
    return np.repeat(_grey(mask)[..., None], 3, axis=2)


Files = dict[str, np.ndarray]


def _anomalydiffusion(kind: str, index: int, image: np.ndarray, mask: np.ndarray) -> Files:
    images = dict.fromkeys(("image", "ori", "recon", "image-mask"), image)
    files = images | {"mask": _rgb(mask)}
    return {f"plate/{kind}/{folder}/{index}.jpg": array for folder, array in files.items()}


def _seas(kind: str, index: int, image: np.ndarray, mask: np.ndarray) -> Files:
    files = {"image": image, "mask": _grey(mask)}
    return {f"plate/{kind}/{folder}/{index:03d}.png": array for folder, array in files.items()}


def _dualanodiff(kind: str, index: int, image: np.ndarray, mask: np.ndarray) -> Files:
    files = {"image": image, "fg": image, "mask": _rgb(mask)}
    return {f"plate/{kind}/{folder}/{index}.png": array for folder, array in files.items()}


def _dfmgan(kind: str, index: int, image: np.ndarray, mask: np.ndarray) -> Files:
    files = {"img": image, "good": image, "mask": _rgb(mask)}
    return {f"plate_{kind}/{index}_{name}.png": array for name, array in files.items()}


def _defect_gen(kind: str, index: int, image: np.ndarray, mask: np.ndarray) -> Files:
    files = {
        "images/samples_image": image,
        "masks/samples_mask": _rgb(mask) * np.uint8([0, 0, 1]),
        "masks_converted_dir/samples_converted_mask": mask.astype(np.uint8),
    }
    return {f"plate/{kind}/{name}_{index:06d}_0_0.png": array for name, array in files.items()}


def _defectdiffu(kind: str, index: int, image: np.ndarray, mask: np.ndarray) -> Files:
    name = f"plate {kind}_{index / 2}"
    return {f"{name}.png": image, f"{name}_mask.png": _rgb(mask)}


def _mvtec(kind: str, index: int, image: np.ndarray, mask: np.ndarray) -> Files:
    truth = f"plate/ground_truth/{kind}/{index:03d}_mask.png"
    return {f"plate/test/{kind}/{index:03d}.png": image, truth: _grey(mask)}


SYSTEMS = {
    "folders": [_anomalydiffusion, _seas, _dualanodiff, _defect_gen],
    "suffix": [_dfmgan, _defectdiffu],
    "mvtec": [_mvtec],
}


def write(root: Path, files_of: Callable[..., Files], counts: dict[str, int] = THREE) -> Path:
    """Write generated pairs as a system does; returns `root`."""
    for kind, count in counts.items():
        for index in range(count):
            for name, array in files_of(kind, index, *made(index)).items():
                save(root / name, array, quality=90)  # of JPEG
    return root


def read(folder: Path, samples: pd.DataFrame, layout: str = "auto") -> ExternalSet:
    return read_external("other", ExternalOptions(path=str(folder), layout=layout), samples)


@pytest.mark.parametrize("chosen", ["auto", "named"])
@pytest.mark.parametrize(
    ("layout", "files_of"), [(name, f) for name, systems in SYSTEMS.items() for f in systems]
)
def test_layouts_of_other_systems(
    tmp_path: Path, samples: pd.DataFrame, layout: str, files_of: Callable[..., Files], chosen: str
) -> None:
    found = read(write(tmp_path, files_of), samples, layout="auto" if chosen == "auto" else layout)

    assert found.pairs.groupby("defect_type").size().to_dict() == THREE
    assert found.pairs["image_id"].is_unique
    for position, row in found.pairs.iterrows():
        image, mask = made(int(str(position)) % 3)
        example = found.example(row["image_id"])
        assert example.mask.dtype == bool
        assert np.logical_xor(example.mask, mask).sum() <= 3
        assert np.abs(example.image.astype(float) - image).mean() < 3


@pytest.mark.parametrize("kind", ["0/1", "0/255", "RGB", "RGB 0/1", "classes", "one bit", "16 bit"])
def test_masks_of_every_kind(tmp_path: Path, samples: pd.DataFrame, kind: str) -> None:
    write(tmp_path, _seas)
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

    found = read(tmp_path, samples)

    assert (found.example("plate/dent/001").mask == mask).all()


def test_the_folders_of_a_lone_type_may_be_left_out(tmp_path: Path, samples: pd.DataFrame) -> None:
    for index in range(2):
        image, mask = made(index)
        save(tmp_path / "images" / f"{index}.png", image)
        save(tmp_path / "masks" / f"{index}.png", _grey(mask))
    dents = samples[samples["defect_type"].isin(["dent", "good"])]

    found = read(tmp_path, dents)

    assert found.pairs["image_id"].tolist() == ["plate/dent/0", "plate/dent/1"]


def test_a_type_is_not_taken_for_another_that_begins_alike(
    tmp_path: Path, samples: pd.DataFrame
) -> None:
    both = samples.replace({"defect_type": {"scratch": "dent_deep"}})
    counts = {"dent": 2, "dent_deep": 4}

    def files_of(kind: str, index: int, image: np.ndarray, mask: np.ndarray) -> Files:
        name = f"plate {kind}_{index}"
        return {f"{name}.png": image, f"{name}_mask.png": _grey(mask)}

    found = read(write(tmp_path, files_of, counts), both)

    assert found.pairs.groupby("defect_type").size().to_dict() == counts


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

    found = read(tmp_path, samples)

    assert len(found.pairs) == 6
    example = found.example("plate/dent/plate dent_0.5#2")
    image, mask = made(2, 256)
    assert (example.image == image).all()
    assert (example.mask == mask).all()


def test_empty_masks_are_left_out_and_said_so(
    tmp_path: Path, samples: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, _seas)
    save(tmp_path / "plate" / "dent" / "mask" / "001.png", EMPTY)
    save(tmp_path / "plate" / "dent" / "mask" / "002.png", np.full((80, 80), 255, np.uint8))

    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, samples)

    assert (found.pairs["defect_type"] == "dent").sum() == 1
    assert "plate/dent: 2 masks are empty or cover the image" in caplog.text


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (
            lambda plate: (plate / "dent/mask/001.png").unlink(),
            ["the image has no mask", "dent/image/001.png", "3 images, 2 masks"],
        ),
        (
            lambda plate: (plate / "dent/image/002.png").unlink(),
            ["the mask has no image", "dent/mask/002.png", "2 images, 3 masks"],
        ),
        (
            lambda plate: (plate / "dent/mask").rename(plate / "dent/fg"),
            ["the image has no mask", "dent/image/000.png", "0 masks"],
        ),
        (
            lambda plate: save(plate / "scratch/mask/000.png", _grey(made(0, 96)[1])),
            ["another size", "mask/000.png", "image/000.png", "mask 96x96, image 80x80"],
        ),
        (
            lambda plate: truncate(plate / "scratch/image/000.png"),
            ["cannot be decoded", "scratch/image/000.png", "300 bytes"],
        ),
        (
            lambda plate: save(plate / "scratch/mask/000.png", made(7)[0]),
            ["neither binary nor near-binary", "scratch/mask/000.png"],
        ),
        (
            lambda plate: (plate / "scratch").rename(plate / "scratches"),
            ["has no pairs of plate/scratch", "ground_truth"],
        ),
        (
            lambda plate: [save(plate / f"dent/mask/00{i}.png", EMPTY) for i in range(3)],
            ["no usable pairs of plate/dent", "mask/000.png", "3 masks empty"],
        ),
        (
            lambda plate: save(plate / "dent/image/image_001.png", made(1)[0]),
            ["belong to one pair", "001.png"],
        ),
    ],
)
def test_bad_folders(
    tmp_path: Path, samples: pd.DataFrame, spoil: Callable[[Path], object], expected: list[str]
) -> None:
    spoil(write(tmp_path, _seas) / "plate")

    with pytest.raises(InputError) as caught:
        read(tmp_path, samples)
    for text in (*expected, "file:", "value:", "remedy:"):
        assert text in str(caught.value)


def test_missing_folder(tmp_path: Path, samples: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"does not exist(.|\n)*nowhere(.|\n)*arms.external.other"):
        read(tmp_path / "nowhere", samples)


def test_a_link_that_leaves_the_folder(tmp_path: Path, samples: pd.DataFrame) -> None:
    write(tmp_path / "out", _seas)
    image = tmp_path / "out" / "plate" / "dent" / "image" / "000.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")

    with pytest.raises(InputError, match="leaves the corpus root"):
        read(tmp_path / "out", samples)


def test_an_unknown_image_id(tmp_path: Path, samples: pd.DataFrame) -> None:
    found = read(write(tmp_path, _seas), samples)

    with pytest.raises(InputError, match="plate/dent/999"):
        found.example("plate/dent/999")
