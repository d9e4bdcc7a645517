"""The linear classifier on surfaces with two simple defects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from categories import surface
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.batches import View
from defectsynth_pipeline.inspection.classification import classify
from defectsynth_pipeline.inspection.linear import (
    ORIENTATIONS,
    LinearClassifier,
    Looks,
    UnusualPatches,
    fit_linear,
)

SIDE = 96


def _view(seed: int, kind: str = "good") -> View:
    """A surface; "dot" has a dark disc on it, "line" a bright stroke."""
    image = surface(seed, (SIDE, SIDE, 3))
    y, x = np.indices((SIDE, SIDE)) - np.random.default_rng(seed).integers(24, SIDE - 24, (2, 1, 1))
    mask = {
        "good": np.zeros((SIDE, SIDE), bool),
        "dot": x**2 + y**2 < 25,
        "line": (abs(y) < 2) & (abs(x) < 18),
    }[kind]
    image[mask] = {"good": 0, "dot": 10, "line": 250}[kind]
    return View(image, mask.astype(np.uint8) * 255)


def _of_both(seeds: range) -> tuple[list[View], np.ndarray]:
    views = [_view(seed, kind) for kind in ("dot", "line") for seed in seeds]
    return views, np.repeat([0, 1], len(seeds))


@pytest.fixture(scope="module")
def looks() -> Looks:
    return Looks(UnusualPatches.of([_view(seed) for seed in range(6)]))


@pytest.fixture(scope="module")
def tested() -> tuple[list[np.ndarray], np.ndarray]:
    views, labels = _of_both(range(200, 208))
    return [view.image for view in views], labels


def test_two_images_per_type_tell_two_simple_types_apart(looks, tested):
    views, labels = _of_both(range(100, 102))
    model = fit_linear(looks, views, labels, np.ones(4), 2)
    images, truth = tested
    assert (classify(model, images).argmax(1) == truth).mean() >= 0.9


def test_with_shuffled_labels_nothing_is_learned(looks, tested):
    views, labels = _of_both(range(100, 108))
    images, truth = tested
    balanced = np.tile([0, 1], 8)  # half of each type's images bear the other's label
    right = (
        classify(fit_linear(looks, views, balanced, np.ones(16), 2), images).argmax(1)
    ) == truth
    assert 0.2 <= right.mean() <= 0.8
    assert (
        classify(fit_linear(looks, views, labels, np.ones(16), 2), images).argmax(1) == truth
    ).all()


def test_the_defect_is_where_a_patch_is_unlike_good_ones(looks):
    both = looks.of([_view(300), _view(300, "dot")])
    distance = looks.look.distances(both).mean(1)
    assert distance[1] > 2 * distance[0]


def test_an_image_without_weight_is_not_learned(looks):
    views, labels = _of_both(range(100, 104))
    wrong = [*views, *views], np.concatenate([labels, 1 - labels])
    ignored = fit_linear(looks, *wrong, np.repeat([1.0, 0.0], 8), 2)
    right = fit_linear(looks, views, labels, np.ones(8), 2)
    torch.testing.assert_close(ignored.head.weight, right.head.weight, atol=1e-4, rtol=1e-3)
    undecided = fit_linear(looks, *wrong, np.ones(16), 2)
    assert undecided.head.weight.abs().max() < 0.1 * right.head.weight.abs().max()


def test_a_repeated_image_counts_as_one_of_the_sum_of_the_weights(looks):
    views, labels = _of_both(range(100, 103))
    repeated = fit_linear(looks, [views[0], *views], np.append(0, labels), np.ones(7), 2)
    heavier = fit_linear(looks, views, labels, np.array([2.0, 1, 1, 1, 1, 1]), 2)
    torch.testing.assert_close(repeated.head.weight, heavier.head.weight, atol=1e-4, rtol=1e-3)


def test_its_state_survives_a_file_in_half_precision_without_the_encoder(looks, tested, tmp_path):
    views, labels = _of_both(range(100, 104))
    model = fit_linear(looks, views, labels, np.ones(8), 2)
    half = {
        name: value if name.endswith(("_mean", "_var", "_tracked")) else value.half()
        for name, value in model.state_dict().items()
    }
    save_file(half, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_size < 1 << 20
    again = LinearClassifier(2)
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    images, _ = tested
    np.testing.assert_allclose(classify(again, images), classify(model, images), atol=0.05)


def test_two_trainings_are_the_same(looks):
    views, labels = _of_both(range(100, 103))
    first, second = (fit_linear(looks, views, labels, np.ones(6), 2) for _ in range(2))
    assert torch.equal(first.head.weight, second.head.weight)


def test_a_type_without_images_is_hardly_ever_predicted(looks, tested):
    views, labels = _of_both(range(100, 103))
    images, _ = tested
    assert classify(fit_linear(looks, views, labels, np.ones(6), 3), images)[:, 2].max() < 0.2


def test_a_view_is_looked_at_once_while_it_lives(looks):
    view = _view(400)
    one = looks.of([view])
    assert one.shape[:2] == (1, len(ORIENTATIONS))
    view.image[:] = 0
    assert torch.equal(looks.of([view, view])[1], one[0])
    assert not torch.equal(looks.of([View(view.image, view.cover)]), one)


def test_without_good_images_or_weights_it_says_what_is_missing(looks):
    with pytest.raises(InputError, match="no good image"):
        UnusualPatches.of([])
    with pytest.raises(InputError, match="no image to learn from"):
        fit_linear(looks, [_view(1, "dot")], np.array([0]), np.zeros(1), 2)
