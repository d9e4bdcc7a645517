"""Does it look like a defect of its type? A classifier of a category's defect types and of nulls.

Three logistic regressions on the evidence of the base set's own real defects, each turned,
mirrored and in `variants`, and of nulls made from them: is it a defect, of which type, and if it is
none, of which kind. What is asked for is the logarithm of the probability of the type that a mask
claims, the sum of the first two, as a mean over two views. Every class of a regression has the same
total weight, so that few real defects count as much as many nulls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count as count_from

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from defectsynth_pipeline.certificate.evidence import PIXELS, TURNS, Seen, evidence, see
from defectsynth_pipeline.certificate.nulls import (
    OTHER,
    REAL,
    SPOILT,
    RoundTrip,
    nulls_of,
    take_out,
)
from defectsynth_pipeline.certificate.variants import VARIANTS, variants_of
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.corpora.split import folds_of
from defectsynth_pipeline.features.regression import fit_regression
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.resumable import Progress
from defectsynth_pipeline.workers import Map

_ROUNDS = (1, 6)  # how often every kind of null is made of a real defect, at least and at most
_PER_ROUND = 8
_VIEWS = (0, 5)  # turns of which the score is the mean; of the many nulls no more are learned
_VARIED = (0, 2, 5, 7)  # turns of a variant of a real defect
REAL_VIEWS = TURNS + VARIANTS * len(_VARIED)  # of a real defect, at most
FOLDS = 10
_EVIDENCE = 300.0  # total weight of a regression's windows against its prior, of variance 1
_LEAST = np.log(0.05)  # scores below are all alike
_ROW = ("kind", "defect_type", "fold", "turn", "window")
_EMPHASIS = 3.0  # of the few columns measured in pixels, among more than a thousand of features
_CLIP = 5.0  # deviations: a feature that the base never showed decides nothing alone
REAL_LOST = 0.05  # share of the real defects that may fall below the threshold
NULL_PASSED = 0.025  # share of the worst kind of null that may stay above it, the stronger rule


@dataclass(frozen=True)
class Look:
    """A fitted classifier.

    Attributes:
        types: Names of the defect types.
        kinds: Names of kinds of null.
        mean, scale: (WIDTH,), of the evidence.
        weight: (2 + n_types + n_kinds, WIDTH): of no defect, of a defect, of the types, the kinds.
        bias: (2 + n_types + n_kinds,).
        real: (N, WIDTH), evidence of the real base defects, every view of them.
        real_types: (N,), numbers of their types.
    """

    types: tuple[str, ...]
    kinds: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    real: np.ndarray
    real_types: np.ndarray

    def scores(self, shown: np.ndarray) -> np.ndarray:
        """Return log probabilities (N, n_types + n_kinds) of evidence (N, WIDTH)."""
        logits = _standard(shown, self.mean, self.scale) @ self.weight.T + self.bias
        parts = np.split(logits, [2, 2 + len(self.types)], axis=1)
        whether, types, kinds = (log_softmax(part, axis=1) for part in parts)
        return np.concatenate([whether[:, 1:] + types, whether[:, :1] + kinds], 1)

    def of_window(self, seen: Seen, defect_type: str) -> tuple[np.ndarray, float]:
        """Look at a window.

        Returns:
            The mean log probabilities (n_types + n_kinds,) of its views; and how far it is from the
            type's nearest real base defect: the root mean square of their features' difference, in
            deviations, the mean of its views.
        """
        shown = evidence([seen], _VIEWS)
        like = self.real[self.real_types == self.types.index(defect_type)]
        one, all_real = (_standard(of, self.mean, self.scale)[:, :-PIXELS] for of in (shown, like))
        apart = ((one[:, None] - all_real) ** 2).mean(-1).min(1) ** 0.5
        return np.asarray(self.scores(shown).mean(0)), float(apart.mean())


def gather(
    real: Sequence[Sample],
    normals: Sequence[Sample],
    *,
    nulls: int,
    round_trip: RoundTrip | None,
    seed: int,
    each: Map = map,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Look at a category's real base defects and at about `nulls` nulls made from them.

    Each fold has good images of its own, where there are as many: a null that is held out shows
    none that its classifier has seen.

    Returns:
        A row per view of a window: kind (`REAL` or one of `nulls.KINDS`), defect_type and fold of
        the real defect, turn, and the window's number; and the evidence (N, WIDTH).
    """
    rounds = rounds_of(nulls, len(real))
    folds = folds_of(real, FOLDS)
    count = max(folds) + 1
    given = [
        (sample, normals[fold::count] or normals, counter_seed(seed, number))
        for number, (sample, fold) in enumerate(zip(real, folds, strict=True))
    ]
    rows, shown, numbers = [], [], count_from(0)
    progress = Progress(f"{real[0].category}: base defect", len(real))
    look_at = partial(_windows_of, rounds=rounds, round_trip=round_trip)
    found = zip(real, folds, each(look_at, given), strict=True)
    for number, (sample, fold, (windows, seen)) in enumerate(found, start=1):
        for kind, turns in windows:
            window = next(numbers)
            rows += [(kind, sample.defect_type, fold, turn, window) for turn in turns]
        shown.append(seen)
        progress(number)
    return pd.DataFrame(rows, columns=list(_ROW)), np.concatenate(shown)


def rounds_of(nulls: int, n_real: int) -> int:
    """Return how often every kind of null is made of each of `n_real` real defects."""
    return int(np.clip(round(nulls / (_PER_ROUND * n_real)), *_ROUNDS))


def _windows_of(
    given: tuple[Sample, Sequence[Sample], int], *, rounds: int, round_trip: RoundTrip | None
) -> tuple[list[tuple[str, Sequence[int]]], np.ndarray]:
    """Kind and turns of the windows that a base defect gives, and their evidence.

    Turns from `TURNS` on are of its variants: they are learned from and never asked about.
    """
    sample, normals, seed = given
    rng = np.random.default_rng(seed)
    taken = take_out(sample)
    nulls = list(nulls_of(sample, taken, normals, rng, rounds=rounds, round_trip=round_trip))
    varied = evidence(variants_of(sample, taken), _VARIED)
    turns = range(TURNS + len(varied))
    windows = [(REAL, turns), *((null.kind, _VIEWS) for null in nulls)]
    own = evidence([see(sample.image(), sample.mask())], range(TURNS))
    shown = [own, varied, evidence((null.seen for null in nulls), _VIEWS)]
    return windows, np.concatenate(shown)


def fit_look(windows: pd.DataFrame, shown: np.ndarray) -> Look:
    """Train the classifier on what `gather` returns."""
    is_real = (windows["kind"] == REAL).to_numpy()
    mean, scale = shown.mean(0), shown.std(0) + np.float32(1e-6)
    standard = _standard(shown, mean, scale)
    _, *whether = _fitted(standard, is_real)
    types, *of_type = _fitted(standard[is_real], windows.loc[is_real, "defect_type"])
    kinds, *of_kind = _fitted(standard[~is_real], windows.loc[~is_real, "kind"])
    weight, bias = map(np.concatenate, zip(whether, of_type, of_kind, strict=True))
    own = is_real & (windows["turn"] < TURNS).to_numpy()
    numbers = np.array([types.index(name) for name in windows.loc[own, "defect_type"]])
    return Look(types, kinds, mean, scale, weight, bias, shown[own], numbers)


def _standard(shown: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    standard = ((shown - mean) / scale).clip(-_CLIP, _CLIP)
    standard[:, -PIXELS:] *= _EMPHASIS
    return np.asarray(standard)


def _fitted(
    standard: np.ndarray, labels: pd.Series | np.ndarray
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names of the classes, weights and offsets of a regression in which all count alike."""
    classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shares = _EVIDENCE / len(classes) / counts[numbers]
    return tuple(map(str, classes)), *fit_regression(standard, numbers, shares, len(classes))


def held_out_scores(windows: pd.DataFrame, shown: np.ndarray) -> pd.DataFrame:
    """Score every window by a classifier that saw none of its fold.

    Returns:
        A row per window as it is, and for every real one a row of kind `OTHER` per other type of
        the category: kind, defect_type (the claimed one), fold, score (log probability).
    """
    types = sorted(set(windows["defect_type"]))
    # Of a null only its score as a type is asked, which does not depend on the kinds' regression.
    alike = windows.assign(kind=windows["kind"].where(windows["kind"] == REAL, "null"))
    rows: list[tuple[str, str, int, float]] = []
    for number in sorted(set(windows["fold"])):
        held = (windows["fold"] == number).to_numpy()
        look = fit_look(alike[~held], shown[~held])
        asked = held & windows["turn"].isin(_VIEWS).to_numpy()
        scores = pd.DataFrame(look.scores(shown[asked])).iloc[:, : len(look.types)]
        scores.columns = look.types
        told = windows[asked].reset_index(drop=True)
        means = scores.reindex(columns=types, fill_value=-np.inf).groupby(told["window"]).mean()
        rows += _asked(told.drop_duplicates("window").set_index("window"), means, number)
    return pd.DataFrame(rows, columns=["kind", "defect_type", "fold", "score"])


def _asked(
    told: pd.DataFrame, scores: pd.DataFrame, fold: int
) -> Iterator[tuple[str, str, int, float]]:
    """What a window claims to be, and of a real one what else it could be claimed to be."""
    for row, (_, score) in zip(told.loc[scores.index].itertuples(), scores.iterrows(), strict=True):
        yield row.kind, row.defect_type, fold, float(score[row.defect_type])
        for other in score.index.drop(row.defect_type) if row.kind == REAL else ():
            yield OTHER, other, fold, float(score[other])


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
