"""The regression minimises what it says, whatever the number of classes."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.features.regression import fit_regression


def loss(weight, bias, inputs, labels, shares):
    """Weighted cross-entropy plus half the squared norm of the weights."""
    logits = inputs @ weight.T + bias
    logits = logits - logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -(shares * log_p[np.arange(len(labels)), labels]).sum() + (weight**2).sum() / 2


@pytest.mark.parametrize("classes", [2, 3])
def test_no_step_from_the_solution_is_better(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = np.arange(60) % classes
    inputs = rng.normal(size=(60, 4)) + np.eye(classes, 4)[labels]
    shares = rng.uniform(0.5, 2, 60)
    weight, bias = fit_regression(inputs, labels, shares, classes)
    least = loss(weight, bias, inputs, labels, shares)
    for scale in (0.3, 0.1, 0.03):
        for _ in range(50):
            other = weight + scale * rng.normal(size=weight.shape)
            shifted = bias + scale * rng.normal(size=bias.shape)
            assert loss(other, shifted, inputs, labels, shares) > least - 1e-3


def test_examples_without_a_share_do_not_count() -> None:
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(20, 3)), np.arange(20) % 2
    shares = np.repeat([1.0, 0.0], 10)
    all_of_them = fit_regression(inputs, labels, shares, 2)
    counted = fit_regression(inputs[:10], labels[:10], shares[:10], 2)
    for one, other in zip(all_of_them, counted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 2, 0, 2]])
def test_a_class_without_an_example_lies_below_the_others(labels: list[int]) -> None:
    inputs = np.random.default_rng(1).normal(size=(4, 3))
    weight, bias = fit_regression(inputs, np.array(labels), np.ones(4), 3)
    logits = inputs @ weight.T + bias
    present = sorted(set(labels))
    assert (logits[:, 1] < logits[:, present].min(1) - 5).all()
