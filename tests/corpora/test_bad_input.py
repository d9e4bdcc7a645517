"""Every kind of bad input names the file, the value and what to do."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from categories import save
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions
from refusals import refused

from .builders import blob, texture

DENT = Path("plate/test/dent")
DENT_MASK = Path("plate/ground_truth/dent")
GOOD = Path("plate/train/good")


def _fails(root: Path, *expected: str, **options: list[str]) -> None:
    with refused("remedy:", *expected, "file:", "value:"):
        make_samples(root, IngestOptions(**options))


def _keep_only(root: Path, defect_type: str, count: int) -> None:
    """Remove all but the first images of a type."""
    for index in range(count, 6):
        (root / "plate" / "test" / defect_type / f"00{index}.png").unlink()
        (root / "plate" / "ground_truth" / defect_type / f"00{index}_mask.png").unlink()


def test_missing_root(tmp_path: Path) -> None:
    _fails(tmp_path / "none", "does not exist", "none")


def test_image_without_mask(part: Path) -> None:
    (part / DENT_MASK / "002_mask.png").unlink()
    _fails(part, "no mask", "dent/002.png", "002_mask.png")


def test_mask_without_image(part: Path) -> None:
    (part / DENT / "002.png").unlink()
    _fails(part, "no image", "002_mask.png", "no 002.*")


def test_masks_of_a_type_without_images(part: Path) -> None:
    shutil.rmtree(part / DENT)
    _fails(part, "no image", "000_mask.png")


NOT_BINARY = ("neither binary nor near-binary", "grey levels")
Y, X = np.mgrid[:48, :48]


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (blob(1, size=40), ("another size", "mask 40x40, image 48x48")),
        (np.zeros((48, 48)), ("the mask is empty", "0 defect pixels")),
        (255 - blob(1), ("inverted", "97.0%")),
        (texture(1, shape=(48, 48)), NOT_BINARY),
        (X * 5, NOT_BINARY),
        ((X > 20).astype(int) + (X > 30), NOT_BINARY),
        (255 * np.exp(-((X - 24) ** 2 + (Y - 24) ** 2) / 60), NOT_BINARY),
    ],
    ids=["another size", "empty", "inverted", "photograph", "ramp", "labels", "soft"],
)
def test_unusable_masks(part: Path, mask: np.ndarray, expected: tuple[str, ...]) -> None:
    save(part / DENT_MASK / "001_mask.png", mask.astype(np.uint8))
    _fails(part, "001_mask.png", *expected)


@pytest.mark.parametrize("cut", [0, 1, 60, 2000])
def test_truncated_image(part: Path, cut: int) -> None:
    path = part / DENT / "003.png"
    path.write_bytes(path.read_bytes()[:cut])
    _fails(part, "003.png", f"{cut} bytes")


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "tif"])
def test_truncated_image_of_other_formats(part: Path, suffix: str) -> None:
    path = save(part / GOOD / f"x.{suffix}", texture(9, shape=(128, 128, 3)))
    path.write_bytes(path.read_bytes()[:-1500])
    _fails(part, f"x.{suffix}", "cannot be decoded")


def test_text_named_as_image(part: Path) -> None:
    (part / GOOD / "x.png").write_text("not an image", encoding="utf-8")
    _fails(part, "x.png", "cannot be decoded")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x.tif", lambda: Image.fromarray(np.zeros((9, 9), np.float32))),
        ("x.jpg", lambda: Image.new("CMYK", (9, 9))),
        ("x.png", lambda: Image.new("1", (9, 9))),
        ("x.tif", lambda: Image.fromarray(np.zeros((9, 9), np.int32))),
        ("x.png", lambda: Image.new("RGBA", (9, 9), (1, 2, 3, 128))),
    ],
    ids=["float", "cmyk", "one bit", "int32", "transparent"],
)
def test_unsupported_mode(part: Path, name: str, make: Callable[[], Image.Image]) -> None:
    make().save(part / GOOD / name)
    _fails(part, name)


def test_several_pages(part: Path) -> None:
    page = Image.fromarray(texture(1))
    page.save(part / GOOD / "x.tif", save_all=True, append_images=[page])
    _fails(part, "x.tif", "several pages", "2 pages")


def test_unsupported_format(part: Path) -> None:
    (part / GOOD / "x.webp").write_bytes(b"RIFF")
    _fails(part, "unsupported image format", "x.webp", ".webp")


def test_a_type_that_is_named_as_reports_name_all_types(part: Path) -> None:
    for folder in (DENT, DENT_MASK):
        (part / folder).rename((part / folder).with_name("all"))
    _fails(part, "all types together", "plate/all", "rename its folders")


def test_defect_type_with_one_mask(part: Path) -> None:
    _keep_only(part, "dent", 1)
    rest = "leave dent out, with ingest.defect_types: [scratch]"
    _fails(part, "dent of plate has only one mask", "000_mask.png", "plate/dent: 1 mask", rest)


def test_two_images_of_a_type_are_base_and_none_is_tested(
    part: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _keep_only(part, "dent", 2)
    samples = make_samples(part, IngestOptions())

    sides = samples[samples["defect_type"] != "good"].groupby("defect_type")["split"].value_counts()
    assert sides.to_dict() == {
        ("dent", "base"): 2,
        ("scratch", "test"): 4,
        ("scratch", "base"): 2,
    }
    assert "plate/dent: all 2 images" in caplog.text
    assert "plate/scratch" not in caplog.text


def test_a_type_whose_parts_are_all_tested_as_another_type(part: Path) -> None:
    """By their names dents and scratches are of the same parts, and those of dents are divided."""
    options = IngestOptions(group_by=r"^(\d+)$")
    samples = make_samples(part, options)
    dents = samples[(samples["split"] == "test") & (samples["defect_type"] == "dent")]
    tested = {Path(image).stem for image in dents["image"]}
    for name in sorted({path.stem for path in (part / DENT).iterdir()} - tested):
        (part / "plate/test/scratch" / f"{name}.png").unlink()
        (part / "plate/ground_truth/scratch" / f"{name}_mask.png").unlink()

    with refused("scratch of plate has no base image", "0 base images", remedy="raise ingest"):
        make_samples(part, options)


def test_no_normal_images(part: Path) -> None:
    shutil.rmtree(part / GOOD)
    _fails(part, "plate has no normal images", "train/good", "0 images")


def test_series_without_any_file(tmp_path: Path) -> None:
    (tmp_path / "Welds" / "W0001").mkdir(parents=True)
    _fails(tmp_path, "no normal images", "0 images", "train/good")


def test_category_without_defects(part: Path) -> None:
    shutil.rmtree(part / "plate" / "test")
    shutil.rmtree(part / "plate" / "ground_truth")
    _fails(part, "no defective images", "parts/plate")


def test_two_files_of_one_name(part: Path) -> None:
    save(part / GOOD / "000.bmp", texture(77))
    _fails(part, "share one name", "000.png")


def test_unknown_category_and_type(part: Path) -> None:
    _fails(part, "unknown category", "bolt", "plate", categories=["bolt"])
    _fails(part, "unknown defect type", "rust", "dent, scratch", defect_types=["dent", "rust"])


def test_link_that_leaves_the_root(part: Path, tmp_path: Path) -> None:
    outside = save(tmp_path / "secret" / "x.png", texture(5))
    (part / GOOD / "x.png").symlink_to(outside)
    _fails(part, "leaves the corpus root", "good/x.png", "secret")


def test_folder_link_that_leaves_the_root(part: Path, tmp_path: Path) -> None:
    shutil.move(part / DENT, tmp_path / "secret")
    (part / DENT).symlink_to(tmp_path / "secret")
    _fails(part, "leaves the corpus root", "dent/000.png")


def test_link_inside_the_root_is_fine(part: Path) -> None:
    source = save(part / "store" / "x.png", texture(5))
    (part / GOOD / "x.png").symlink_to(os.path.relpath(source, part / GOOD))
    assert len(make_samples(part, IngestOptions())) == 19


@pytest.mark.parametrize("path", ["../secret/x.png", "/{root}/secret/x.png"])
def test_manifest_path_that_leaves_the_root(part: Path, tmp_path: Path, path: str) -> None:
    save(tmp_path / "secret" / "x.png", texture(5))
    row = make_samples(part, IngestOptions()).iloc[0].copy()
    row["image"] = row["mask"] = path.replace("/{root}", str(tmp_path))
    for load in (Sample.of(row).image, Sample.of(row).mask):
        with pytest.raises(InputError, match=r"leaves the corpus root(.|\n)*x.png(.|\n)*remedy"):
            load()


def test_the_wanted_types_are_all_that_is_left(part: Path) -> None:
    samples = make_samples(part, IngestOptions(defect_types=["scratch"], categories=["plate"]))
    assert set(samples["defect_type"]) == {"scratch", "good"}


def test_what_is_no_file_is_not_opened(part: Path) -> None:
    (part / DENT / "000.png").unlink()
    os.mkfifo(part / DENT / "000.png")
    _fails(part, "no file", "dent/000.png", "prw")


def test_links_in_a_circle(part: Path) -> None:
    (part / DENT / "000.png").unlink()
    (part / DENT / "000.png").symlink_to("000.png")
    _fails(part, "cannot be read", "dent/000.png")


@pytest.mark.parametrize("folder", [DENT, Path()])
def test_a_name_that_is_not_utf8(part: Path, folder: Path) -> None:
    name = os.fsdecode(b"beul\xe9.png")
    (part / folder / name).mkdir() if folder == Path() else save(part / folder / name, texture(1))
    _fails(part, "not UTF-8", "beul\\xe9.png", "rename")


def test_ghostscript_is_not_started(part: Path) -> None:
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n%%EOF\n"
    (part / GOOD / "x.png").write_text(text, encoding="ascii")
    _fails(part, "x.png", "cannot be decoded", "no PNG, TIFF, BMP, JPEG")


def test_an_image_beyond_the_limit_is_refused_by_its_header(part: Path) -> None:
    row = np.zeros((1, 13000 * 2 + 1), np.uint8)
    header = struct.pack(">IIBBBBB", 13000, 13000, 16, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row.tobytes())), (b"IEND", b""))
    data = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    (part / GOOD / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with pytest.warns(Image.DecompressionBombWarning):
        _fails(part, "too large", "13000 x 13000", "80 million pixels")


def test_hidden_pairs_are_left_out_aloud(part: Path, caplog: pytest.LogCaptureFixture) -> None:
    (part / DENT / "000.png").rename(part / DENT / ".000.png")
    (part / DENT_MASK / "000_mask.png").rename(part / DENT_MASK / ".000_mask.png")
    (part / DENT / "._001.png").write_bytes(b"macOS")
    samples = make_samples(part, IngestOptions())

    assert (samples["defect_type"] == "dent").sum() == 5
    warned = [r.getMessage() for r in caplog.records if "begins with a dot" in r.getMessage()]
    assert [Path(text.split(" is not")[0]).name for text in warned] == [
        ".000_mask.png",
        ".000.png",
    ]
