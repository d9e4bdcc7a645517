from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.measures.classification import (
    chance_metrics,
    classification_metrics,
    resampled,
)

LABELS = ["crack", "dent", "scratch"]


def answers(count: int = 60, seed: int = 0) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    true = rng.choice(LABELS, count, p=[0.5, 0.3, 0.2])
    predicted = np.where(rng.random(count) < 0.7, true, rng.choice(LABELS, count))
    return true.tolist(), predicted.tolist()


def test_values_are_those_of_scikit_learn() -> None:
    true, predicted = answers()
    values = classification_metrics(true, predicted, LABELS)
    assert values["accuracy"] == pytest.approx(reference.accuracy_score(true, predicted))
    assert values["macro_f1"] == pytest.approx(reference.f1_score(true, predicted, average="macro"))
    singles = reference.f1_score(true, predicted, average=None, labels=LABELS)
    assert [values[f"f1.{name}"] for name in LABELS] == pytest.approx(singles)


def test_a_type_without_test_images_is_nan_and_left_out_of_the_mean() -> None:
    true, predicted = ["crack", "crack", "dent"], ["crack", "scratch", "dent"]
    values = classification_metrics(true, predicted, LABELS)
    assert np.isnan(values["f1.scratch"])
    assert values["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    drawn = resampled(true, predicted, LABELS, np.ones((1, 3)))
    assert {name: float(value[0]) for name, value in drawn.items()} == pytest.approx(
        values, nan_ok=True
    )


def test_no_image_at_all_is_nan() -> None:
    assert np.isnan(list(classification_metrics([], [], LABELS).values())).all()


def test_each_resample_equals_its_own_evaluation() -> None:
    true, predicted = answers(20)
    weights = np.random.default_rng(1).multinomial(20, [1 / 20] * 20, size=30).astype(np.float32)
    weights[0, [name == "crack" for name in true]] = 0
    drawn = resampled(true, predicted, LABELS, weights)
    for row, counts in enumerate(weights):
        times = counts.astype(int)
        repeated = [np.repeat(names, times).tolist() for names in (true, predicted)]
        values = classification_metrics(*repeated, LABELS)
        assert {n: float(v[row]) for n, v in drawn.items()} == pytest.approx(values, nan_ok=True)
    assert np.isnan(drawn["f1.crack"][0])


def test_unknown_types_and_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="hole"):
        classification_metrics(["hole"], ["dent"], LABELS)
    with pytest.raises(InputError, match="hole"):
        resampled(["dent"], ["hole"], LABELS, np.ones((2, 1)))
    with pytest.raises(InputError, match="differ in number"):
        classification_metrics(["dent"], ["dent", "dent"], LABELS)
    with pytest.raises(InputError, match="differ in number"):
        resampled(["dent"], ["dent"], LABELS, np.ones((2, 3)))


def test_chance_is_the_mean_over_shuffled_answers() -> None:
    true, predicted = answers()
    rng = np.random.default_rng(1)
    dealt = [
        classification_metrics(true, list(rng.permutation(predicted)), LABELS) for _ in range(800)
    ]
    expected = chance_metrics(true, predicted, LABELS)
    assert set(expected) == set(dealt[0])
    for name, value in expected.items():
        assert value == pytest.approx(np.mean([one[name] for one in dealt]), abs=0.01)


def test_chance_of_always_the_same_answer_is_what_it_scores() -> None:
    true = ["crack", "crack", "dent", "scratch"]
    always = ["crack"] * 4
    assert chance_metrics(true, always, LABELS) == classification_metrics(true, always, LABELS)
    assert chance_metrics(true, true[::-1], LABELS)["macro_f1"] == pytest.approx(1 / 3)


def test_chance_without_images_is_nan() -> None:
    assert np.isnan(list(chance_metrics([], [], LABELS).values())).all()
    assert np.isnan(chance_metrics(["crack"], ["dent"], LABELS)["f1.dent"])
