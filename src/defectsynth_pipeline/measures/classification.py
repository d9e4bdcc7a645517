"""Accuracy and F1 of predicted defect types, once and for many resamples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.measures.counts import ratio


def classification_metrics(
    true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """Accuracy, macro F1 and the F1 of each type, by scikit-learn.

    Macro F1 is the mean over the types that have test images: a type that is only predicted costs
    F1 elsewhere, and the mean is over the same types for every detector.

    Args:
        true: (N,) types of the images.
        predicted: (N,) types that the detector predicts.
        labels: All types of the category.

    Returns:
        "accuracy", "macro_f1" and "f1.<type>" for each label, in [0, 1]; nan for a type without
        test images, and for all if there are none.

    Raises:
        InputError: Lengths differ, or a type is not among the labels.

    Examples:
        >>> found = classification_metrics(["dent", "crack"], ["dent", "dent"], ["crack", "dent"])
        >>> found["accuracy"], found["f1.crack"]
        (0.5, 0.0)
    """
    truth, answer = _codes(labels, true, predicted)
    present = np.unique(truth)
    f1, accuracy, macro = np.full(len(labels), np.nan), float("nan"), float("nan")
    if len(truth):
        accuracy = float(accuracy_score(truth, answer))
        f1[present] = f1_score(truth, answer, labels=present, average=None, zero_division=0)
        macro = float(f1[present].mean())
    single = {f"f1.{name}": float(value) for name, value in zip(labels, f1, strict=True)}
    return {"accuracy": accuracy, "macro_f1": macro, **single}


def chance_metrics(
    true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """What the same answers would score, dealt out over the images at random.

    With n images of a type and m answers of it among N, n m / N agree in expectation, which is
    exact for every value here since each is linear in that number: F1 is 2 n m / (N (n + m)). For
    one type that is n / N where a detector answers it as often as it occurs, and 2 n / (N + n)
    where it always does. Their mean over K types is 1 / K at most.

    Args:
        true: (N,) types of the images.
        predicted: (N,) types that the detector predicts.
        labels: All types of the category.

    Returns:
        The names of `classification_metrics`, nan likewise.

    Raises:
        InputError: Lengths differ, or a type is not among the labels.
    """
    codes = _codes(labels, true, predicted)
    there, claimed = (np.bincount(part, minlength=len(labels)).astype(float) for part in codes)
    images = np.full(len(labels), there.sum())
    agree = ratio(there * claimed, images)
    f1 = np.where(there > 0, ratio(2 * agree, there + claimed), np.nan)
    single = {f"f1.{name}": float(value) for name, value in zip(labels, f1, strict=True)}
    if not images.any():
        return {"accuracy": float("nan"), "macro_f1": float("nan"), **single}
    accuracy, macro = float(agree.sum() / images[0]), float(f1[there > 0].mean())
    return {"accuracy": accuracy, "macro_f1": macro, **single}


def resampled(
    true: Sequence[str], predicted: Sequence[str], labels: Sequence[str], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """`classification_metrics` of resampled test sets, all at once.

    Args:
        true: (N,) types of the images.
        predicted: (N,) types that the detector predicts.
        labels: All types of the category.
        weights: (R, N) how often each resample holds each image.

    Returns:
        The same names, each (R,); nan in resamples where one is not defined.

    Raises:
        InputError: Lengths differ, or a type is not among the labels.
    """
    truth, answer = _codes(labels, true, predicted, images=weights.shape[-1])
    types, counts = np.arange(len(labels)), np.asarray(weights, dtype=float)
    is_type, is_answer = truth[:, None] == types, answer[:, None] == types
    # (R, K): images found, images of the type, images predicted as the type.
    found, there, claimed = (counts @ part for part in (is_type & is_answer, is_type, is_answer))
    f1 = np.where(there > 0, ratio(2 * found, there + claimed), np.nan)
    present = there > 0
    single = {f"f1.{name}": f1[:, place] for place, name in enumerate(labels)}
    return {
        "accuracy": ratio(found.sum(axis=1), counts.sum(axis=1)),
        "macro_f1": ratio(np.where(present, f1, 0).sum(axis=1), present.sum(axis=1)),
        **single,
    }


def _codes(
    labels: Sequence[str], true: Sequence[str], predicted: Sequence[str], images: int | None = None
) -> list[np.ndarray]:
    """Positions (N,) among the labels of the true and of the predicted types."""
    places = {name: place for place, name in enumerate(labels)}
    unknown = sorted({str(name) for name in [*true, *predicted]} - set(places))
    if unknown:
        raise InputError(
            "a defect type is not among the types of its category",
            value=", ".join(unknown),
            remedy=f"use one of {', '.join(labels)}",
        )
    lengths = (len(true), len(predicted), len(true) if images is None else images)
    if len(set(lengths)) > 1:
        raise InputError(
            "true types, predicted types and weights differ in number",
            value=lengths,
            remedy="give one of each per test image",
        )
    return [np.array([places[str(n)] for n in names], dtype=int) for names in (true, predicted)]
