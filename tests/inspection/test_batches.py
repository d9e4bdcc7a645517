from __future__ import annotations

import numpy as np
import pytest
import torch

from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.features.encoder import normalised
from defectsynth_pipeline.imaging.pixels import crop
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.inspection.augmentation import Augmentation
from defectsynth_pipeline.inspection.batches import (
    Shown,
    View,
    batch_rows,
    classification_batch,
    draw_window,
    localization_batch,
    make_view,
)

AS_IS = Augmentation()
EVERYTHING = Augmentation(True, True, True, turn=10, scale=0.1, gain=1.25)


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def spotted(height: int, width: int, row: int, column: int) -> View:
    """A view with a defect of 3 x 3."""
    cover = np.zeros((height, width), np.uint8)
    cover[row - 1 : row + 2, column - 1 : column + 2] = 255
    return View(noise((height, width, 3)), cover)


def test_small_images_are_not_enlarged() -> None:
    image, mask = noise((20, 30)), np.zeros((20, 30), bool)
    view = make_view(Example(image, mask), 64, square=False)
    assert np.array_equal(view.image, np.repeat(image[..., None], 3, axis=2))


def test_the_longer_side_is_reduced_and_a_square_is_one() -> None:
    example = Example(noise((60, 120, 3)), np.zeros((60, 120), bool))
    assert make_view(example, 40, square=False).cover.shape == (20, 40)
    assert make_view(example, 40, square=True).image.shape == (40, 40, 3)


def test_a_thin_crack_keeps_its_area() -> None:
    mask = np.zeros((128, 128), bool)
    mask[40, 10:100] = True
    view = make_view(Example(noise((128, 128, 3)), mask), 32, square=False)
    area = view.cover.astype(float).sum() / 255 * 16
    assert area == pytest.approx(mask.sum(), rel=0.05)


def test_sixteen_bits_become_eight() -> None:
    image = np.full((8, 8), 1 << 15, np.uint16)
    view = make_view(Example(image, np.zeros((8, 8), bool)), 8, square=False)
    assert np.all(view.image == 128)


def test_windows_reflect_without_repeating_the_border() -> None:
    array = noise((5, 7, 3))
    expected = np.pad(array, ((3, 4), (6, 5), (0, 0)), mode="reflect")
    assert np.array_equal(crop(array, Rectangle.at(-6, -3, 18, 12)), expected)


def test_inputs_are_normalised_as_imagenet() -> None:
    inputs = normalised(np.full((1, 2, 2, 3), 255, np.uint8))
    assert inputs.shape == (1, 3, 2, 2)
    assert inputs[0, :, 0, 0].tolist() == pytest.approx(
        [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    )


def test_half_of_the_windows_are_near_the_defect() -> None:
    view = spotted(200, 200, 30, 160)
    seen = [
        draw_window(view, 32, 32, 1.0, np.random.default_rng([7, i]))[1].any() for i in range(400)
    ]
    # Windows elsewhere rarely meet the defect: (34 / 169)^2 of them at most.
    assert 0.45 < np.mean(seen) < 0.6


def test_windows_show_image_and_cover_of_one_place() -> None:
    view = spotted(60, 50, 20, 20)
    marked = View(np.repeat(view.cover[..., None], 3, axis=2), view.cover)
    for seed in range(20):
        image, cover = draw_window(marked, 40, 64, 1.0, np.random.default_rng(seed))
        assert image.shape == (40, 64, 3)
        assert np.array_equal(image[..., 0], cover)


def test_kinds_have_their_shares_of_every_batch() -> None:
    kinds = ["real"] * 3 + ["normal"] * 5 + ["own"] * 40
    shares = {"real": 0.5, "normal": 0.25, "own": 0.25}
    rows = [batch_rows(kinds, shares, 6, 0, step) for step in range(20)]
    counts = [[sum(kinds[row] == kind for row in batch) for kind in shares] for batch in rows]
    assert all(len(batch) == 6 for batch in rows)
    assert np.sum(counts, axis=0).tolist() == [60, 30, 30]
    assert np.ptp(counts, axis=0).max() <= 1
    seen = np.concatenate(rows).tolist()
    assert {seen.count(row) for row in range(3)} == {20}  # each row once before any twice
    assert {seen.count(row) for row in range(8, 48)} == {0, 1}


def test_a_share_without_rows_goes_to_the_others() -> None:
    shares = {"real": 0.5, "normal": 0.25, "own": 0.25}
    rows = np.concatenate([batch_rows(["real", "own"], shares, 3, 0, step) for step in range(4)])
    assert sorted(rows.tolist()) == [0] * 8 + [1] * 4


def test_without_shares_every_row_comes_once_an_epoch() -> None:
    rows = [batch_rows(["real"] * 2 + ["own"] * 8, None, 5, 0, step) for step in range(4)]
    assert sorted(np.concatenate(rows[:2]).tolist()) == list(range(10))
    assert sorted(np.concatenate(rows[2:]).tolist()) == list(range(10))
    assert not np.array_equal(rows[0], rows[2])


def shown(views: list[View], augmentation: Augmentation = AS_IS) -> Shown:
    return Shown(views, ["real"] * len(views), None, augmentation)


@pytest.mark.parametrize("augmentation", [AS_IS, EVERYTHING])
def test_batches_depend_on_seed_and_step_and_pair_arms(augmentation: Augmentation) -> None:
    views = [spotted(64, 64, 20 + i, 30) for i in range(6)]
    others = [View(255 - view.image, view.cover) for view in views]
    images, cover = localization_batch(shown(views, augmentation), (32, 32), 4, 0, 5)
    again, _ = localization_batch(shown(views, augmentation), (32, 32), 4, 0, 5)
    other, other_cover = localization_batch(shown(others, augmentation), (32, 32), 4, 0, 5)
    assert torch.equal(images, again)
    assert torch.equal(cover, other_cover)
    assert not torch.equal(images, other)
    next_seed = localization_batch(shown(views, augmentation), (32, 32), 4, 1, 5)
    assert not torch.equal(images, next_seed[0])
    assert cover.shape == (4, 1, 32, 32)
    assert cover.max() <= 1


def test_classification_batches_keep_image_and_label_together() -> None:
    cover = np.zeros((4, 4), np.uint8)
    views = [View(np.full((4, 4, 3), 40 * i, np.uint8), cover) for i in range(6)]
    images, labels = classification_batch(shown(views), np.arange(6), 6, 0, 0)
    assert labels.dtype == torch.int64
    assert torch.equal(images, normalised(np.stack([views[i].image for i in labels])))


@pytest.mark.parametrize("make", ["localization", "classification"])
def test_every_step_turns_or_cuts_a_row_anew(make: str) -> None:
    one = shown([spotted(64, 64, 20, 30)], EVERYTHING)
    first, second = (
        localization_batch(one, (32, 32), 1, 0, step)[0]
        if make == "localization"
        else classification_batch(one, np.zeros(1), 1, 0, step)[0]
        for step in (0, 1)
    )
    assert not torch.equal(first, second)
