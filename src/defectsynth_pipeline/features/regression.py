"""Multinomial logistic regression on features, with an L2 prior on its weights (scikit-learn)."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

MOST_STEPS = 500
_ABSENT = 20.0  # logits by which a class without an example lies below every other


def fit_regression(
    inputs: np.ndarray, labels: np.ndarray, shares: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the weighted cross-entropy plus half the squared norm of the weights.

    Args:
        inputs: (N, C), standardised.
        labels: int (N,), classes from 0; some may have no example.
        shares: (N,), what each example counts; their sum is the evidence against the prior.
        n_classes: Number of logits.

    Returns:
        Weights (n_classes, C) and offsets (n_classes,).
    """
    present = np.unique(labels[shares > 0])
    weight, bias = np.zeros((n_classes, inputs.shape[1])), np.zeros(n_classes)
    if len(present) > 1:
        # Of two classes scikit-learn fits one logit; split over both it meets half the prior.
        two = len(present) == 2
        model = LogisticRegression(C=2.0 if two else 1.0, max_iter=MOST_STEPS)
        counted = shares > 0
        # Thousands of small products: threads that wait for one another take ten times as long.
        with threadpool_limits(1, user_api="blas"):
            model.fit(inputs[counted], labels[counted], sample_weight=shares[counted])
        own, offset = model.coef_, model.intercept_
        weight[present] = np.concatenate([-own, own]) / 2 if two else own
        bias[present] = np.concatenate([-offset, offset]) / 2 if two else offset
    bias[np.setdiff1d(np.arange(n_classes), present)] = bias[present].min() - _ABSENT
    return weight, bias
