"""Does it look like a defect of its type? A classifier of a category's defect types and of nulls.

Multinomial logistic regression on the evidence of the base set's own real defects, each turned and
mirrored, and of nulls made from them. What is asked for is the logarithm of the probability of the
type that a mask claims. Every class has the same total weight, so that few real defects count as
much as many nulls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from defectsynth_pipeline.certificate.evidence import TURNS, evidence, see
from defectsynth_pipeline.certificate.nulls import OTHER, REAL, SPOILT, RoundTrip, nulls_of
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.features.regression import fit_regression
from defectsynth_pipeline.resumable import Progress

_ROUNDS = (1, 6)  # how often every kind of null is made of a real defect, at least and at most
_PER_ROUND = 8
_NULL_TURNS = (0, 5)  # of the many nulls two views are enough
FOLDS = 10
_EVIDENCE = 300.0  # total weight of all windows against the prior of weights of variance 1
_LEAST = np.log(0.05)  # scores below are all alike
_CLIP = 5.0  # deviations: a feature that the base never showed decides nothing alone
REAL_LOST = 0.05  # share of the real defects that may fall below the threshold
NULL_PASSED = 0.04  # share of the worst kind of null that may stay above it, the stronger rule


@dataclass(frozen=True)
class Look:
    """A fitted classifier.

    Attributes:
        classes: Names of the defect types and of kinds of null.
        mean, scale: (WIDTH,), of the evidence.
        weight: (n_classes, WIDTH).
        bias: (n_classes,).
    """

    classes: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def scores(self, shown: np.ndarray) -> np.ndarray:
        """Return log probabilities (N, n_classes) of evidence (N, WIDTH)."""
        standard = ((shown - self.mean) / self.scale).clip(-_CLIP, _CLIP)
        logits = standard @ self.weight.T + self.bias
        top = logits.max(1, keepdims=True)
        return np.asarray(logits - top - np.log(np.exp(logits - top).sum(1, keepdims=True)))


def gather(
    real: Sequence[Sample],
    normals: Sequence[Sample],
    *,
    nulls: int,
    round_trip: RoundTrip | None,
    seed: int,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Look at a category's real base defects and at about `nulls` nulls made from them.

    Each fold has good images of its own, where there are as many: a null that is held out shows
    none that its classifier has seen.

    Returns:
        A row per window: kind (`REAL` or one of `nulls.KINDS`), defect_type and fold of the real
        defect, turn; and the evidence (N, WIDTH).
    """
    rng = np.random.default_rng(seed)
    rounds = int(np.clip(round(nulls / (_PER_ROUND * len(real))), *_ROUNDS))
    folds = folds_of(real)
    count = max(folds) + 1
    rows, shown, progress = [], [], Progress(f"{real[0].category}: base defect", len(real))
    for number, (sample, fold) in enumerate(zip(real, folds, strict=True), start=1):
        told = (sample.defect_type, fold)
        seen = see(sample.image(), sample.mask())
        windows = [seen.turned(turn) for turn in range(TURNS)]
        rows += [(REAL, *told, turn) for turn in range(TURNS)]
        own = normals[fold::count] or normals
        made = list(nulls_of(sample, own, rng, rounds=rounds, round_trip=round_trip))
        rows += [(null.kind, *told, turn) for null in made for turn in _NULL_TURNS]
        turned = [null.seen.turned(turn) for null in made for turn in _NULL_TURNS]
        shown.append(evidence([*windows, *turned]))
        progress(number)
    return pd.DataFrame(rows, columns=["kind", "defect_type", "fold", "turn"]), np.concatenate(
        shown
    )


def folds_of(real: Sequence[Sample]) -> list[int]:
    """Return a fold per real defect; those of one group share one.

    A type whose real defects are all of one group is held out sample by sample.
    """
    groups: dict[str, set[str]] = {}
    for sample in real:
        groups.setdefault(sample.defect_type, set()).add(sample.group)
    parts = [s.group if len(groups[s.defect_type]) > 1 else s.sample_id for s in real]
    numbers = {part: number % FOLDS for number, part in enumerate(dict.fromkeys(parts))}
    return [numbers[part] for part in parts]


def fit_look(windows: pd.DataFrame, shown: np.ndarray) -> Look:
    """Train the classifier on what `gather` returns."""
    is_real = windows["kind"] == REAL
    labels = windows["defect_type"].where(is_real, windows["kind"].map("null: {}".format))
    mean, scale = shown.mean(0), shown.std(0) + np.float32(1e-6)
    classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shares = _EVIDENCE / len(classes) / counts[numbers]
    standard = ((shown - mean) / scale).clip(-_CLIP, _CLIP)
    weight, bias = fit_regression(standard, numbers, shares, len(classes))
    return Look(tuple(map(str, classes)), mean, scale, weight, bias)


def held_out_scores(windows: pd.DataFrame, shown: np.ndarray) -> pd.DataFrame:
    """Score every window by a classifier that saw none of its fold.

    Returns:
        A row per window as it is, and for every real one a row of kind `OTHER` per other type of
        the category: kind, defect_type (the claimed one), fold, score (log probability).
    """
    types = sorted(set(windows["defect_type"]))
    rows: list[tuple[str, str, int, float]] = []
    for number in sorted(set(windows["fold"])):
        held = (windows["fold"] == number).to_numpy()
        look = fit_look(windows[~held], shown[~held])
        asked = held & (windows["turn"] == 0).to_numpy()
        rows += _scored(look, windows[asked], look.scores(shown[asked]), types, number)
    return pd.DataFrame(rows, columns=["kind", "defect_type", "fold", "score"])


def _scored(
    look: Look, windows: pd.DataFrame, scores: np.ndarray, types: list[str], fold: int
) -> Iterator[tuple[str, str, int, float]]:
    for row, of_row in zip(windows.itertuples(index=False), scores, strict=True):
        of_class = dict(zip(look.classes, map(float, of_row), strict=True))
        yield row.kind, row.defect_type, fold, of_class.get(row.defect_type, -np.inf)
        for other in types if row.kind == REAL else ():
            if other != row.defect_type:
                yield OTHER, other, fold, of_class.get(other, -np.inf)


def threshold_of(scores: pd.DataFrame) -> float:
    """Return the least score that is accepted.

    It lies between the weakest real defects, `REAL_LOST` of them left out, and the strongest of
    each kind of null, `NULL_PASSED` of them left out, nearer to the real ones; spoilt defects do
    not count. Where these overlap it is the nulls' limit: what is no defect may not pass, whatever
    it costs.
    """
    real = scores.loc[scores["kind"] == REAL, "score"]
    nulls = scores[~scores["kind"].isin({REAL, *SPOILT})].groupby("kind")["score"]
    limit = nulls.quantile(1 - NULL_PASSED, interpolation="higher").max()
    weakest = max(real.quantile(REAL_LOST, interpolation="lower"), _LEAST)
    strongest = np.nextafter(max(limit, _LEAST), np.inf)
    return float(max(weakest + (strongest - weakest) / 3, strongest))


def passed(scores: pd.DataFrame) -> pd.Series:
    """Return whether each window passes a threshold that was set without its fold."""
    found = pd.Series(False, index=scores.index)
    for number in set(scores["fold"]):
        held = scores["fold"] == number
        rest = scores[~held] if (~held).any() else scores
        found[held] = scores.loc[held, "score"] >= threshold_of(rest)
    return found
