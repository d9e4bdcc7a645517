"""Files of all kinds as arrays, and rows of `samples` as typed objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from categories import save
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_image, decode_mask, encode_png
from defectsynth_pipeline.options import IngestOptions

from .builders import blob, texture


def _decode(path: Path) -> np.ndarray:
    return decode_image(path.read_bytes(), path)


@pytest.mark.parametrize("shape", [(7, 13), (7, 13, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_round_trip(shape: tuple[int, ...], dtype: type) -> None:
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)

    decoded = decode_image(encode_png(array), Path("x.png"))

    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize("shape", [(7, 13), (7, 13, 3)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiff(tmp_path: Path, shape: tuple[int, ...], order: str) -> None:
    array = np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", array, byteorder=order)

    np.testing.assert_array_equal(_decode(tmp_path / "x.tif"), array)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_lossless_formats(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"x.{suffix}", texture(1))

    np.testing.assert_array_equal(_decode(path), texture(1))


def test_opaque_alpha_and_palettes_are_resolved(tmp_path: Path) -> None:
    rgb = Image.fromarray(texture(1))
    rgb.convert("RGBA").save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(_decode(tmp_path / "alpha.png"), texture(1))

    palette = rgb.quantize(16)
    palette.save(tmp_path / "colours.png")
    np.testing.assert_array_equal(_decode(tmp_path / "colours.png"), palette.convert("RGB"))

    grey = Image.fromarray(texture(1, shape=(48, 48)))
    grey.convert("P").save(tmp_path / "grey.png")
    np.testing.assert_array_equal(_decode(tmp_path / "grey.png"), grey)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(texture(1, shape=(20, 40, 3))).save(tmp_path / "x.png", exif=exif)

    np.testing.assert_array_equal(
        _decode(tmp_path / "x.png"), np.rot90(texture(1, shape=(20, 40, 3)), -1)
    )


@pytest.mark.parametrize("kind", ["0/255", "0/1", "1 bit", "rgb", "palette", "16 bit", "jpeg"])
def test_kinds_of_masks(tmp_path: Path, kind: str) -> None:
    expected = blob(4) > 0
    image = {
        "0/255": lambda: Image.fromarray(blob(4)),
        "0/1": lambda: Image.fromarray(blob(4) // 255),
        "1 bit": lambda: Image.fromarray(expected),
        "rgb": lambda: Image.fromarray(blob(4)[..., None] * np.array([1, 0, 0], np.uint8)),
        "palette": lambda: Image.fromarray(blob(4)).convert("P"),
        "16 bit": lambda: Image.fromarray(blob(4).astype(np.uint16) * 257),
        "jpeg": lambda: Image.fromarray(blob(4)),
    }[kind]()
    path = tmp_path / ("x.jpg" if kind == "jpeg" else "x.png")
    image.save(path, **({"quality": 90} if kind == "jpeg" else {}))

    np.testing.assert_array_equal(decode_mask(path.read_bytes(), path), expected)


@pytest.mark.parametrize("width", [1, 3, 12])
def test_anti_aliased_masks_are_accepted(width: int) -> None:
    fine = np.zeros((400, 400), np.uint8)
    y, x = np.mgrid[:400, :400]
    fine[np.abs(y - 0.6 * x - 80) < 2 * width] = 255
    soft = np.asarray(Image.fromarray(fine).resize((100, 100), Image.Resampling.BOX))
    assert len(np.unique(soft)) > 4

    np.testing.assert_array_equal(decode_mask(encode_png(soft), Path("x")), soft > 127)


def test_a_sample_reads_what_its_row_says(part: Path) -> None:
    table = make_samples(part, IngestOptions())
    for sample, (_, row) in zip(each_sample(table), table.iterrows(), strict=True):
        file = part / row["image"]
        assert (sample.image() == decode_image(file.read_bytes(), file)).all()
        assert sample.mask().any() == (row["defect_type"] != "good")
        assert sample.shape == sample.mask().shape
        assert (sample.sample_id, sample.split) == (row["sample_id"], row["split"])


def test_samples_are_equal_however_the_row_was_given(part: Path, tmp_path: Path) -> None:
    table = make_samples(part, IngestOptions())
    table.to_csv(tmp_path / "samples.csv", index=False)
    text = pd.read_csv(tmp_path / "samples.csv", dtype=str, keep_default_na=False)
    series = [Sample.of(row) for _, row in table.iterrows()]
    assert list(each_sample(text)) == series == [Sample.of(row) for row in table.itertuples()]
    assert len(set(series)) == len(series)


def test_what_was_loaded_may_be_changed(part: Path) -> None:
    row = make_samples(part, IngestOptions()).iloc[0]
    first = Sample.of(row).image()
    kept = first.copy()
    first[:] = 0
    Sample.of(row).mask()[:] = True

    np.testing.assert_array_equal(Sample.of(row).image(), kept)


def test_a_changed_file_is_read_again(part: Path) -> None:
    row = make_samples(part, IngestOptions()).iloc[0]
    Sample.of(row).image()
    save(Path(row["root"]) / row["image"], texture(7777, shape=(48, 48)))

    np.testing.assert_array_equal(Sample.of(row).image(), texture(7777, shape=(48, 48)))


def test_a_file_that_shrank_or_vanished(part: Path) -> None:
    row = make_samples(part, IngestOptions()).iloc[0]
    path = save(Path(row["root"]) / row["image"], texture(1, shape=(40, 40)))
    with pytest.raises(InputError, match=r"window(.|\n)*48x48 at 0,0 of 40x40(.|\n)*ingest again"):
        Sample.of(row).image()
    path.unlink()
    with pytest.raises(InputError, match=r"cannot be read(.|\n)*000.png(.|\n)*remedy"):
        Sample.of(row).image()


def test_unknown_derivation(part: Path) -> None:
    row = make_samples(part, IngestOptions()).iloc[0].copy()
    row["derivation"] = "polished"
    with pytest.raises(InputError, match=r"derivation(.|\n)*polished(.|\n)*remedy"):
        Sample.of(row).image()
