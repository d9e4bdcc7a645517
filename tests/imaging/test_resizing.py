"""Windows and sizes of all kinds of image."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.imaging.pixels import crop, fit_mask, resize
from defectsynth_pipeline.imaging.rectangle import Rectangle


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_crop_keeps_dtype_at_native_size_and_range_when_resized(
    dtype: type, channels: tuple[int, ...]
) -> None:
    top = 1.0 if dtype is np.float32 else float(np.iinfo(dtype).max)
    image = (np.random.default_rng(0).random((70, 90, *channels)) * top).astype(dtype)
    frame = Rectangle.at(-4, 10, 80, 80)
    native = crop(image, frame)
    assert native.dtype == dtype
    assert native.shape == (80, 80, *channels)
    for resolution in (32, 64, 160):
        small = crop(image, frame, resolution)
        assert small.dtype == np.float32
        assert small.shape == (resolution, resolution, *channels)
        assert small.min() >= 0
        assert small.max() <= top


def test_a_window_of_the_whole_image() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 70, 3), dtype=np.uint8)
    frame = Rectangle(0, 0, *image.shape[:2])
    np.testing.assert_array_equal(crop(image, frame), image)
    assert crop(image, frame, 32).shape == (32, 32, 3)


def test_a_thin_stroke_keeps_its_area_when_made_small() -> None:
    mask = np.zeros((128, 128), dtype=bool)
    mask[:, 63] = True
    coverage = resize(mask, (32, 32))
    assert coverage.mean() == pytest.approx(mask.mean())
    assert (coverage.max(axis=1) == 0.25).all()


def test_resize_is_inverse_enough_for_smooth_content() -> None:
    y, x = np.mgrid[0:96, 0:96] / 96
    image = (0.5 + 0.3 * np.sin(3 * x) * np.cos(2 * y)).astype(np.float32)
    back = resize(resize(image, (48, 48)), (96, 96))
    assert np.abs(back - image).max() < 0.02


def test_masks_are_fitted_without_losing_strokes() -> None:
    mask = np.zeros((64, 64), dtype=bool)
    assert fit_mask(mask, (64, 64)) is mask
    mask[:, 30] = True
    assert fit_mask(mask, (128, 256)).mean() == pytest.approx(mask.mean(), rel=0.5)
    small = fit_mask(mask, (16, 16))
    assert small.dtype == bool
    assert small.any(axis=1).all()
