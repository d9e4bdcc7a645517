"""Windows, sizes, values and surroundings of all kinds of image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from categories import round_spot
from defectsynth_pipeline.imaging.pixels import (
    crop,
    feather,
    fit_mask,
    from_float,
    in_values_of,
    resize,
    solid,
    to_float,
)
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


@pytest.mark.parametrize("shape", [(5, 7), (1, 4), (2, 2)])
def test_reflection_goes_on_past_one_period(shape: tuple[int, int]) -> None:
    image = np.arange(shape[0] * shape[1]).reshape(shape)
    window = Rectangle(-17, -13, shape[0] + 19, shape[1] + 11)
    expected = np.pad(image, ((17, 19), (13, 11)), mode="reflect")
    np.testing.assert_array_equal(crop(image, window), expected)


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


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3)])
@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535), (np.uint16, 4000)])
def test_float_round_trip(shape: tuple[int, ...], dtype: type, top: int) -> None:
    image = np.random.default_rng(0).integers(0, top, shape).astype(dtype)
    image.flat[0] = top
    values = to_float(image)
    assert values.shape == (5, 6, 3)
    assert values.dtype == np.float32
    assert 0.9 < values.max() <= 1
    np.testing.assert_array_equal(from_float(values, image), image)


def test_twelve_bit_images_share_one_scale() -> None:
    values = [to_float(np.array([[1000, top]], np.uint16))[0, 0, 0] for top in (3000, 4000)]
    assert values[0] == values[1] == pytest.approx(1000 / 4095)


def test_from_float_clips() -> None:
    like = np.zeros((1, 2), np.uint8)
    assert from_float(np.array([[[-1.0] * 3, [2.0] * 3]]), like).tolist() == [[0, 255]]


def test_native_values_of_one_camera_are_not_rescaled() -> None:
    dark, bright = (np.full((4, 4), v, np.uint16) for v in (900, 4000))
    assert (in_values_of(dark, bright) == 900).all()
    grey, colour = np.full((4, 4), 51, np.uint8), np.zeros((4, 4, 3), np.uint8)
    assert in_values_of(grey, colour).shape == (4, 4, 3)
    assert np.allclose(in_values_of(grey, np.full((4, 4), 65535, np.uint16)), 65535 / 5)


def test_feather_is_one_inside_and_gone_past_the_collar() -> None:
    mask = round_spot((40, 40), 20, 20, 6)
    distance = ndimage.distance_transform_edt(~mask)
    weight = feather(mask, 3.0)
    assert (weight[mask] == 1).all()
    assert (weight[distance > 3] == 0).all()
    between = (distance > 0) & (distance <= 3)
    assert ((weight[between] > 0) & (weight[between] < 1)).all()
    np.testing.assert_allclose(weight[between], (1 - distance[between] / 4) ** 2)
    assert (feather(mask, 0.0) == mask).all()
    assert not feather(np.zeros((5, 5), dtype=bool), 2.0).any()


def test_a_coverage_is_a_mask_from_a_half_on() -> None:
    assert solid(np.array([0.2, 0.49, 0.5, 0.8])).tolist() == [False, False, True, True]
    assert solid(np.array([0.0, 0.2])).tolist() == [False, True]


def test_bounding_box_and_margin() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    mask[3:5, 6] = True
    assert Rectangle.around(mask) == Rectangle(3, 6, 5, 7)
    assert Rectangle.around(mask, 4) == Rectangle(0, 2, 9, 11)
    assert mask[Rectangle.around(mask).slices].all()


def test_a_rectangle_beyond_its_image_shares_a_part() -> None:
    here, there = Rectangle.at(-2, 7, 6, 6).shared((10, 12))
    image, cut = np.arange(120).reshape(10, 12), np.zeros((6, 6), dtype=int)
    cut[there] = image[here]
    assert image[here].shape == (3, 4)
    assert (cut[:3, 2:] == image[7:10, :4]).all()
    assert cut[3:].sum() == cut[:, :2].sum() == 0


def test_squares_stay_inside() -> None:
    box = Rectangle(0, 9, 2, 12)
    assert box.square(6, (10, 12)) == Rectangle(0, 6, 6, 12)
    assert box.square(40, (10, 12)) == Rectangle(0, 2, 10, 12)


def test_rectangles_that_touch_do_not_meet() -> None:
    one = Rectangle(0, 0, 4, 4)
    assert not one.meets(Rectangle(4, 0, 8, 4))
    assert not one.meets(Rectangle(0, 4, 4, 8))
    assert one.meets(Rectangle(3, 3, 8, 8))


def boxed(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("size", [(100, 400), (400, 100), (60, 45), (90, 160)])
def test_a_mask_keeps_its_proportions_on_an_image_of_others(size: tuple[int, int]) -> None:
    mask = boxed((200, 200), slice(60, 80), slice(130, 150))
    fitted = fit_mask(mask, size)
    assert fitted.shape == size
    rows, columns = np.nonzero(fitted)
    assert np.ptp(rows) == np.ptp(columns)
    assert fitted.mean() == pytest.approx(mask.mean(), rel=0.1)
    assert rows.mean() / size[0] == pytest.approx(0.35, abs=0.02)
    assert columns.mean() / size[1] == pytest.approx(0.7, abs=0.02)


def test_a_mask_is_cut_by_the_frame_where_it_was() -> None:
    for size in ((60, 240), (240, 60)):
        corner = fit_mask(boxed((100, 100), slice(0, 10), slice(80, 100)), size)
        assert corner[0, -1]
        assert corner.mean() == pytest.approx(0.02, rel=0.1)
    band = fit_mask(boxed((100, 100), slice(0, 30), slice(None)), (60, 240))
    assert band[0].all()
    assert (band.all(1) == band.any(1)).all()
    assert 30 <= band.any(1).sum() <= 40
    whole = fit_mask(boxed((100, 100), slice(None), slice(None)), (60, 240))
    assert whole.all()


def test_a_mask_that_is_too_long_is_made_to_fit() -> None:
    stroke = boxed((200, 50), slice(10, 190), slice(20, 30))
    fitted = fit_mask(stroke, (40, 250))
    rows, columns = np.nonzero(fitted)
    assert np.ptp(rows) + 1 == 40
    assert np.ptp(columns) + 1 == 2
