"""Display helpers."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures.previews import boxed, contact_sheet, outlined, to_display
from defectsynth_pipeline.imaging.rectangle import Rectangle


@pytest.mark.parametrize(
    ("array", "low", "high"),
    [
        (np.array([[False, True]]), 0, 255),
        (np.array([[7, 9]], np.uint8), 7, 9),
        (np.array([[100, 3000]], np.uint16), 0, 255),
        (np.array([[5, 5]], np.uint16), 0, 0),
    ],
)
def test_to_display(array, low, high):
    shown = to_display(array)
    assert shown.shape == (1, 2, 3)
    assert shown.dtype == np.uint8
    assert shown[0, :, 0].tolist() == [low, high]


def test_outline_lies_outside_the_mask():
    image = np.full((20, 20), 90, np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[5:9, 5:9] = True
    marked = (outlined(image, mask) != 90).any(axis=2)
    assert marked.any()
    assert not (marked & mask).any()
    assert image.max() == 90


def test_a_box_is_drawn_inside_its_window():
    image = np.full((20, 30), 90, np.uint8)
    marked = (boxed(image, Rectangle(5, 8, 15, 20)) != 90).any(axis=2)
    rows, columns = np.nonzero(marked)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 14, 8, 19)
    assert not marked[6:14, 9:19].any()


def test_contact_sheet_keeps_order_and_aspect():
    wide = np.zeros((10, 40), np.uint8)
    tall = np.full((40, 10, 3), 128, np.uint8)
    sheet = contact_sheet([wide, tall, wide], columns=2, side=40)
    assert sheet.shape == (2 * 44, 2 * 44, 3)
    assert (sheet[22, 2:42] == 0).all()
    assert (sheet[5, 5] == 255).all()
    assert (sheet[2:42, 44 + 22] == 128).all()


def test_no_tiles():
    with pytest.raises(InputError, match="no picture"):
        contact_sheet([], columns=3)
