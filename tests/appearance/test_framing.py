"""Frames at borders, in all sizes and kinds of image."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.appearance.framing import Frame, crop, full_frame, resize, roi_frame
from defectsynth_pipeline.errors import InputError


def box(shape: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_frame_is_context_times_the_extent_around_the_mask() -> None:
    frame = roi_frame(box((200, 300), 90, 140, 20, 40), (200, 300), context=2.0, minimum=16)
    assert frame == Frame(120, 60, 80, 80)


@pytest.mark.parametrize("corner", [(0, 0), (0, 290), (195, 0), (195, 290)])
def test_frames_at_borders_move_inside(corner: tuple[int, int]) -> None:
    mask = box((200, 300), *corner, 5, 10)
    frame = roi_frame(mask, mask.shape, context=2.0, minimum=64)
    assert (frame.width, frame.height) == (64, 64)
    assert 0 <= frame.x0 <= 300 - 64
    assert 0 <= frame.y0 <= 200 - 64
    assert crop(mask, frame).sum() == mask.sum()


def test_frame_never_exceeds_the_short_side_unless_the_mask_does() -> None:
    mask = box((100, 400), 40, 100, 10, 70)
    assert roi_frame(mask, mask.shape, context=3.0, minimum=512).height == 100
    long_mask = box((100, 400), 40, 10, 10, 300)
    frame = roi_frame(long_mask, long_mask.shape, context=2.0, minimum=64)
    assert frame.width == frame.height == 316
    assert frame.y0 < 0
    assert frame.y0 + frame.height > 100
    image = np.arange(100 * 400, dtype=np.uint16).reshape(100, 400)
    reflected = crop(image, frame)
    assert reflected.shape == (316, 316)
    inside, window = frame.window(image.shape)
    np.testing.assert_array_equal(reflected[window], image[inside])
    top = -frame.y0
    np.testing.assert_array_equal(reflected[top - 5], reflected[top + 5])


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (50, 3), (1, 40)])
def test_tiny_and_extreme_images_are_framed(shape: tuple[int, int]) -> None:
    mask = np.ones(shape, dtype=bool)
    frame = roi_frame(mask, shape, context=2.0, minimum=64)
    assert crop(mask, frame, 64).shape == (64, 64)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_crop_keeps_dtype_at_native_size_and_range_when_resized(
    dtype: type, channels: tuple[int, ...]
) -> None:
    top = 1.0 if dtype is np.float32 else float(np.iinfo(dtype).max)
    image = (np.random.default_rng(0).random((70, 90, *channels)) * top).astype(dtype)
    frame = Frame(-4, 10, 80, 80)
    native = crop(image, frame)
    assert native.dtype == dtype
    assert native.shape == (80, 80, *channels)
    for resolution in (32, 64, 160):
        small = crop(image, frame, resolution)
        assert small.dtype == np.float32
        assert small.shape == (resolution, resolution, *channels)
        assert small.min() >= 0
        assert small.max() <= top


def test_full_frame_is_the_whole_image() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 70, 3), dtype=np.uint8)
    frame = full_frame(image.shape)
    np.testing.assert_array_equal(crop(image, frame), image)
    assert crop(image, frame, 32).shape == (32, 32, 3)


def test_a_thin_stroke_keeps_its_area_when_made_small() -> None:
    mask = box((128, 128), 0, 63, 128, 1)
    coverage = resize(mask, (32, 32))
    assert coverage.mean() == pytest.approx(mask.mean())
    assert (coverage.max(axis=1) == 0.25).all()


def test_resize_is_inverse_enough_for_smooth_content() -> None:
    y, x = np.mgrid[0:96, 0:96] / 96
    image = (0.5 + 0.3 * np.sin(3 * x) * np.cos(2 * y)).astype(np.float32)
    back = resize(resize(image, (48, 48)), (96, 96))
    assert np.abs(back - image).max() < 0.02


@pytest.mark.parametrize(
    ("mask", "shape"),
    [(np.zeros((9, 9), dtype=bool), (9, 9)), (np.ones((9, 9), dtype=bool), (9, 8, 3))],
)
def test_unusable_masks_are_refused(mask: np.ndarray, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"\(9, 9\)[\s\S]*drop empty masks"):
        roi_frame(mask, shape, context=2.0, minimum=4)
