"""Frames at borders, in all sizes and kinds of image."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.appearance.framing import frame_like, roi_frame
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.pixels import crop
from defectsynth_pipeline.imaging.rectangle import Rectangle


def box(shape: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_frame_is_context_times_the_extent_around_the_mask() -> None:
    frame = roi_frame(box((200, 300), 90, 140, 20, 40), context=2.0, minimum=16)
    assert frame == Rectangle.at(120, 60, 80, 80)


@pytest.mark.parametrize("corner", [(0, 0), (0, 290), (195, 0), (195, 290)])
def test_frames_at_borders_move_inside(corner: tuple[int, int]) -> None:
    mask = box((200, 300), *corner, 5, 10)
    frame = roi_frame(mask, context=2.0, minimum=64)
    assert (frame.width, frame.height) == (64, 64)
    assert 0 <= frame.left <= 300 - 64
    assert 0 <= frame.top <= 200 - 64
    assert crop(mask, frame).sum() == mask.sum()


def test_frame_never_exceeds_the_short_side_unless_the_mask_does() -> None:
    mask = box((100, 400), 40, 100, 10, 70)
    assert roi_frame(mask, context=3.0, minimum=512).height == 100
    long_mask = box((100, 400), 40, 10, 10, 300)
    frame = roi_frame(long_mask, context=2.0, minimum=64)
    assert frame.width == frame.height == 316
    assert frame.top < 0
    assert frame.top + frame.height > 100
    image = np.arange(100 * 400, dtype=np.uint16).reshape(100, 400)
    reflected = crop(image, frame)
    assert reflected.shape == (316, 316)
    inside, window = frame.shared(image.shape)
    np.testing.assert_array_equal(reflected[window], image[inside])
    top = -frame.top
    np.testing.assert_array_equal(reflected[top - 5], reflected[top + 5])


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (50, 3), (1, 40)])
def test_tiny_and_extreme_images_are_framed(shape: tuple[int, int]) -> None:
    mask = np.ones(shape, dtype=bool)
    frame = roi_frame(mask, context=2.0, minimum=64)
    assert crop(mask, frame, 64).shape == (64, 64)


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(9, 9\)[\s\S]*drop empty masks"):
        roi_frame(np.zeros((9, 9), dtype=bool), context=2.0, minimum=4)


def test_the_reference_window_has_the_frames_size_around_the_real_defect() -> None:
    mask = np.zeros((50, 60), dtype=bool)
    mask[10:14, 50:58] = True
    assert frame_like(Rectangle.at(3, 4, 20, 20), mask) == Rectangle.at(40, 2, 20, 20)


def test_a_window_smaller_than_scattered_parts_still_holds_one() -> None:
    mask = np.zeros((200, 200), bool)
    mask[10:20, 10:20] = mask[180:190, 180:190] = True
    window = frame_like(Rectangle.at(0, 0, 64, 64), mask)
    inside, _ = window.shared(mask.shape)
    assert mask[inside].any()
    assert (window.width, window.height) == (64, 64)
