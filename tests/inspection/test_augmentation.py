from __future__ import annotations

import numpy as np
import pytest

from categories import surface
from defectsynth_pipeline.inspection.augmentation import Augmentation, learn_augmentation
from defectsynth_pipeline.options import AugmentOptions

AUTO = AugmentOptions()


def welds(count: int) -> list[np.ndarray]:
    """A bright seam that runs across, at a slightly different height each time."""
    images = []
    for seed in range(count):
        image = surface(seed, (96, 96, 3)) // 2
        row = 44 + seed % 4
        image[row : row + 8] += 100
        images.append(image)
    return images


def test_what_a_category_never_shows_is_not_allowed() -> None:
    found = learn_augmentation(welds(12), AUTO, "weld")
    assert found.flip_x
    assert not found.quarter_turns


def test_a_texture_may_lie_any_way_round() -> None:
    found = learn_augmentation([surface(seed, (96, 96, 3)) for seed in range(12)], AUTO, "plate")
    assert found.flip_x
    assert found.flip_y
    assert found.quarter_turns


def test_what_is_set_is_not_learnt() -> None:
    options = AugmentOptions(
        flip_x=False, flip_y=False, quarter_turns=True, turn=0, scale=0, gain=1
    )
    assert learn_augmentation(welds(12), options, "weld") == Augmentation(quarter_turns=True)


def test_one_image_teaches_nothing() -> None:
    found = learn_augmentation(welds(1), AUTO, "weld")
    assert [found.flip_x, found.flip_y, found.quarter_turns] == [False] * 3


def test_light_that_varies_is_varied() -> None:
    even = learn_augmentation(welds(12), AUTO, "weld")
    dimmed = [image // (1 + number % 2) for number, image in enumerate(welds(12))]
    assert learn_augmentation(dimmed, AUTO, "weld").gain > even.gain


@pytest.mark.parametrize("size", [(16, 16), (16, 24)])
def test_image_and_cover_move_together(size: tuple[int, int]) -> None:
    wild = Augmentation(True, True, True, turn=30, scale=0.2)
    cover = np.zeros((64, 64), np.uint8)
    cover[20:30, 28:50] = 255
    image = np.repeat(cover[..., None], 3, axis=2)
    for seed in range(20):
        shown, covered = wild.draw(image, cover, size, np.random.default_rng(seed))
        assert shown.shape == (*size, 3)
        assert covered.shape == size
        assert np.array_equal(shown[..., 0], covered)


def test_a_margin_keeps_corners_filled() -> None:
    wild = Augmentation(turn=45, scale=0.5)
    side = int(np.ceil(16 * wild.margin))
    cover = np.full((side, side), 255, np.uint8)
    image = np.full((side, side, 3), 255, np.uint8)
    for seed in range(20):
        _, covered = wild.draw(image, cover, (16, 16), np.random.default_rng(seed))
        assert covered.min() > 250


def test_nothing_allowed_changes_nothing() -> None:
    image = surface(0, (32, 32, 3))
    cover = (image[..., 0] > 128).astype(np.uint8) * 255
    shown, covered = Augmentation().draw(image, cover, (32, 32), np.random.default_rng(0))
    assert np.array_equal(shown, image)
    assert np.array_equal(covered, cover)
