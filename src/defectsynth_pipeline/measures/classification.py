"""Accuracy and F1 of predicted defect types, once and for many resamples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.measures.sweeps import ratio


def classification_metrics(
    true: Sequence[str],
    predicted: Sequence[str],
    labels: Sequence[str],
    weights: np.ndarray | None = None,
) -> dict[str, float]:
    """Accuracy, macro F1 and the F1 of each type, by scikit-learn.

    Macro F1 is the mean over the types that have test images: a type that is only predicted costs
    F1 elsewhere, and the mean is over the same types for every detector.

    Args:
        true: (N,) types of the images.
        predicted: (N,) types the detector says.
        labels: All types of the category.
        weights: (N,) how often each image counts; None for once each.

    Returns:
        "accuracy", "macro_f1" and "f1.<type>" for each label, in [0, 1]; nan for a type without
        test images, and for all if there are none.

    Raises:
        InputError: Lengths differ, or a type is not among the labels.
    """
    kind, said = _codes(true, labels), _codes(predicted, labels)
    counts = np.ones(len(kind)) if weights is None else np.asarray(weights, dtype=float)
    _check_lengths(len(kind), len(said), len(counts))
    # Images of weight 0 would still make scikit-learn call their type present.
    kind, said, counts = (part[counts > 0] for part in (kind, said, counts))
    present = np.isin(np.arange(len(labels)), kind)
    f1, accuracy = np.full(len(labels), np.nan), float("nan")
    if len(kind):
        accuracy = float(accuracy_score(kind, said, sample_weight=counts))
        f1[present] = f1_score(
            kind,
            said,
            labels=np.flatnonzero(present),
            average=None,
            sample_weight=counts,
            zero_division=0,
        )
    macro = float(f1[present].mean()) if present.any() else float("nan")
    single = {f"f1.{name}": float(value) for name, value in zip(labels, f1, strict=True)}
    return {"accuracy": accuracy, "macro_f1": macro, **single}


def resampled(
    true: Sequence[str], predicted: Sequence[str], labels: Sequence[str], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """`classification_metrics` for every row of weights (R, N), all at once.

    Returns:
        The same names, each (R,); nan in resamples where one is not defined.

    Raises:
        InputError: Lengths differ, or a type is not among the labels.
    """
    kind, said = _codes(true, labels), _codes(predicted, labels)
    counts = np.asarray(weights, dtype=float)
    _check_lengths(len(kind), len(said), counts.shape[-1])
    types = np.arange(len(labels))
    is_kind, is_said = kind[:, None] == types, said[:, None] == types
    # (R, K): images found, images of the type, images called the type.
    found, there, called = (counts @ part for part in (is_kind & is_said, is_kind, is_said))
    f1 = np.where(there > 0, ratio(2 * found, there + called), np.nan)
    present = there > 0
    single = {f"f1.{name}": f1[:, place] for place, name in enumerate(labels)}
    return {
        "accuracy": ratio(found.sum(axis=1), counts.sum(axis=1)),
        "macro_f1": ratio(np.where(present, f1, 0).sum(axis=1), present.sum(axis=1)),
        **single,
    }


def _codes(names: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Positions (N,) of names among the labels."""
    places = {name: place for place, name in enumerate(labels)}
    unknown = sorted({str(name) for name in names} - set(places))
    if unknown:
        raise InputError(
            "a defect type is not among the types of its category",
            value=", ".join(unknown),
            remedy=f"use one of {', '.join(labels)}",
        )
    return np.array([places[str(name)] for name in names], dtype=int)


def _check_lengths(*lengths: int) -> None:
    if len(set(lengths)) > 1:
        raise InputError(
            "true types, predicted types and weights differ in number",
            value=lengths,
            remedy="give one of each per test image",
        )
