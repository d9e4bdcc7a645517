"""The paired bootstrap: the same resamples of test images and seeds for every arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed


def image_weights(
    groups: Sequence[str], strata: Sequence[str], resamples: int, seed: int
) -> np.ndarray:
    """Draw test sets anew: whole groups with replacement, within each stratum.

    A group is shots of one part, which are not independent and so are drawn together. A group
    that spans strata belongs to the one that most of its images have (the first by name if equal).
    As many groups are drawn as the stratum has; a stratum of one group never varies. Draws depend
    on the seed and on the stratum's number of groups and name alone, not on the order of the
    images or on other strata.

    Args:
        groups: (N,) group of each image.
        strata: (N,) defect type of each image, "good" included.
        resamples: R, how many test sets.
        seed: Of the draws.

    Returns:
        float32 (R, N): how often each resample holds each image.

    Raises:
        InputError: Lengths differ.
    """
    if len(groups) != len(strata):
        raise InputError(
            "groups and strata of the test images differ in number",
            value=f"{len(groups)} and {len(strata)}",
            remedy="give one of each per test image",
        )
    table = pd.DataFrame({"group": list(groups), "stratum": list(strata)}, dtype=object)
    weights = np.zeros((resamples, len(table)), dtype=np.float32)
    # mode() sorts, so that ties fall to the first name.
    homes = {
        str(name): str(part.mode().iloc[0]) for name, part in table.groupby("group")["stratum"]
    }
    for stratum in sorted(set(homes.values())):
        members = sorted(name for name, home in homes.items() if home == stratum)
        draws = _draws(len(members), resamples, counter_seed("images", seed, stratum))
        for column, name in enumerate(members):
            weights[:, np.flatnonzero(table["group"] == name)] = draws[:, [column]]
    return weights


def seed_weights(n_seeds: int, resamples: int, seed: int) -> np.ndarray:
    """Draw trainings anew: float32 (R, S), how often each resample holds each seed's training."""
    return _draws(n_seeds, resamples, counter_seed("seeds", seed))


def interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Percentile interval of resampled values (R,); nan ones are left out, (nan, nan) if all are.

    Args:
        values: (R,) one metric, or one difference, per resample.
        confidence: In (0, 1), for example 0.95.

    Examples:
        >>> import numpy as np
        >>> [round(end) for end in interval(np.arange(101.0), 0.9)]
        [5, 95]
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def seed_mean(values: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean over seeds of a metric in every resample.

    Args:
        values: Per seed (R,), all from the same `image_weights`.
        weights: (R, S) from `seed_weights`.

    Returns:
        (R,); nan where a seed that the resample holds has nan.
    """
    table = np.stack(list(values), axis=1)
    if table.shape != weights.shape:
        raise InputError(
            "resampled values and seed weights differ in shape",
            value=f"{table.shape} and {weights.shape}",
            remedy="give one array of resamples per seed",
        )
    total = np.where(weights > 0, weights * table, 0).sum(axis=1, dtype=float)
    return np.asarray(total / weights.sum(axis=1))


def _draws(count: int, resamples: int, seed: int) -> np.ndarray:
    """Counts float32 (R, count) of `count` draws with replacement."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(
        np.float32
    )
