"""A certificate that can fail: nulls do not pass, real defects do, and labels are measured."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from categories import disc, surface, write_category
from defectsynth_pipeline.certificate.certificate import (
    Certificate,
    fit_certificate,
    worst_null,
)
from defectsynth_pipeline.certificate.nulls import KINDS, OTHER, REAL
from defectsynth_pipeline.corpora.columns import ALL_TYPES
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions
from refusals import refused

SHAPE = (112, 128)


def bar(seed: int) -> np.ndarray:
    """A line of three pixels, bool."""
    row, column = np.random.default_rng(seed).integers(20, (90, 60))
    mask = np.zeros(SHAPE, bool)
    mask[row : row + 3, column : column + 44] = True
    return mask


DRAWN = {
    "dent": partial(disc, shape=SHAPE, radius=9, margin=20),
    "scratch": bar,
}
STEMS = [f"{number:03d}" for number in range(12)]


def blurred(picture: np.ndarray) -> np.ndarray:
    """What an autoencoder would leave of a picture."""
    return (picture + np.roll(picture, 1, 0) + np.roll(picture, 1, 1)) / 3


def make(folder: Path, darkening: int) -> pd.DataFrame:
    draw = partial(surface, shape=(*SHAPE, 3))
    root = write_category(
        folder / "plate", draw, DRAWN, good=STEMS[:6], defective=STEMS, darkening=darkening
    )
    return make_samples(root, IngestOptions(base_share=0.75))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return make(tmp_path_factory.mktemp("visible"), 3)


@pytest.fixture(scope="module")
def certificate(samples: pd.DataFrame) -> Certificate:
    return fit_certificate(samples, nulls=90, round_trip=blurred)


@pytest.fixture(scope="module")
def good(samples: pd.DataFrame) -> np.ndarray:
    return Sample.of(samples[samples["split"] == "normal"].iloc[0]).image()


def passed(certificate: Certificate, kind: str, defect_type: str = ALL_TYPES) -> float:
    table = certificate.test.set_index(["defect_type", "kind"])["passed"]
    return float(table[defect_type, kind])


def test_the_null_test(certificate: Certificate) -> None:
    of_all = certificate.test[certificate.test["defect_type"] == ALL_TYPES]
    assert set(of_all["kind"]) == {REAL, OTHER, *KINDS}
    assert worst_null(of_all)["passed"] <= 0.05
    assert passed(certificate, REAL) >= 0.9


def test_saved_and_loaded_it_judges_the_same(
    certificate: Certificate, good: np.ndarray, tmp_path: Path
) -> None:
    certificate.save(tmp_path)
    loaded = Certificate.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.test, certificate.test, check_dtype=False)
    mask, image = DRAWN["dent"](7), good.copy()
    image[mask] //= 3
    one, other = (c.judge("plate", "dent", image, good, mask) for c in (certificate, loaded))
    assert (other.verdict, other.record) == (one.verdict, one.record)
    assert other.unlike == one.unlike > 0


def test_one_of_an_earlier_release_is_refused(certificate: Certificate, tmp_path: Path) -> None:
    certificate.save(tmp_path)
    (file,) = tmp_path.glob("*.npz")
    with np.load(file) as arrays:
        np.savez(file, **{name: array for name, array in arrays.items() if "real" not in name})
    with refused("earlier release", str(tmp_path), "plate: no real, real_types", remedy="again"):
        Certificate.load(tmp_path)


def test_fitting_twice_is_the_same(samples: pd.DataFrame) -> None:
    few = samples[samples["defect_type"] != "scratch"]
    one, other = (fit_certificate(few, nulls=12).test for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_defects_that_cannot_be_seen_do_not_pass_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = fit_certificate(make(tmp_path, 1), nulls=60)
    assert passed(found, REAL) < 0.5
    assert "plate/dent" in caplog.text
    assert "can be told from nothing" in caplog.text
    assert worst_null(found.test[found.test["defect_type"] == ALL_TYPES])["passed"] <= 0.1


def test_a_real_defect_on_a_good_image_is_accepted(
    certificate: Certificate, samples: pd.DataFrame, good: np.ndarray
) -> None:
    verdicts = []
    for sample in each_sample(samples[samples["split"] == "test"]):
        mask, image = sample.mask(), good.copy()
        image[mask] //= 3
        verdicts.append(certificate.judge("plate", sample.defect_type, image, good, mask))
    assert np.mean([found.verdict == "accepted" for found in verdicts]) >= 0.8
    assert all((found.reason == "") == (found.verdict == "accepted") for found in verdicts)
    assert all(0 <= found.record["certainty"] <= 1 for found in verdicts)


def test_nothing_is_rejected(certificate: Certificate, good: np.ndarray) -> None:
    mask = DRAWN["dent"](7)
    found = certificate.judge("plate", "dent", good, good, mask)
    assert (found.verdict, found.record["covered"]) == ("rejected", 0)
    assert "0% of the mask changed" in found.reason
    assert (found.mask == mask).all()


def test_another_type_is_rejected_by_name(certificate: Certificate, good: np.ndarray) -> None:
    mask, image = DRAWN["dent"](7), good.copy()
    image[mask] //= 3
    assert certificate.judge("plate", "dent", image, good, mask).verdict == "accepted"
    found = certificate.judge("plate", "scratch", image, good, mask)
    assert found.verdict == "rejected"
    assert "looks like dent" in found.reason


def test_a_mask_larger_than_what_changed_is_replaced(
    certificate: Certificate, good: np.ndarray
) -> None:
    changed, image = DRAWN["dent"](7), good.copy()
    image[changed] //= 3
    wide = ndimage.binary_dilation(changed, iterations=8)
    found = certificate.judge("plate", "dent", image, good, wide)
    assert found.verdict == "relabelled"
    assert (found.mask & changed).sum() / (found.mask | changed).sum() > 0.85


def test_a_category_without_good_images_is_refused(samples: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="plate: 18 base, 0 normal"):
        fit_certificate(samples[samples["split"] != "normal"])
