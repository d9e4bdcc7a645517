"""What pixel values mean."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.imaging.pixels import from_float, in_values_of, to_float


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
