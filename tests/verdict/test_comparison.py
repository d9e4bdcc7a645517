"""Means, intervals and paired differences of arms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from defectsynth_pipeline.measures.resampling import interval, seed_weights
from defectsynth_pipeline.verdict.comparison import Scores, compare, detectable, primary_metric

RESAMPLES = 4000


def scores(values, spread, rng, *, shared):
    """Per seed a value, and resamples that move with the shared test images."""
    return Scores(values, [value + shared + rng.normal(0, spread, RESAMPLES) for value in values])


def rows_of(arms, seeds, confidence=0.95):
    weights = seed_weights(seeds, RESAMPLES, 0)
    return {(row["arm"], row["against"]): row for row in compare(arms, weights, confidence)}


def test_pairing_takes_out_what_arms_share(rng):
    hard = rng.normal(0, 0.1, RESAMPLES)
    arms = {
        "base": scores([0.50, 0.50], 0.001, rng, shared=hard),
        "defectsynth": scores([0.55, 0.55], 0.001, rng, shared=hard),
    }
    rows = rows_of(arms, 2)
    level = rows["defectsynth", ""]
    assert level["high"] - level["low"] > 0.3
    gap = rows["defectsynth", "base"]
    assert gap["difference"] == pytest.approx(0.05)
    assert 0.04 < gap["difference_low"] < 0.05 < gap["difference_high"] < 0.06


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_spread_of_few_seeds_is_not_understated(seeds, rng):
    """The bootstrap's standard deviation is that of the mean, not sqrt((S - 1) / S) of it."""
    values = list(rng.normal(0.5, 0.02, seeds))
    still = Scores(values, [np.full(RESAMPLES, value) for value in values])
    row = rows_of({"base": still}, seeds, confidence=0.6827)["base", ""]
    expected = np.std(values, ddof=1) / math.sqrt(seeds)
    half = (row["high"] - row["low"]) / 2
    assert row["seed_std"] == pytest.approx(np.std(values, ddof=1))
    # The distribution of two or three values is coarse, so its 68 % are only roughly one sigma.
    assert 0.7 * expected < half < 1.7 * expected


def test_two_seeds_are_widened_by_the_root_of_two():
    values = [0.4, 0.6]
    still = Scores(values, [np.full(RESAMPLES, value) for value in values])
    better = Scores([0.5, 0.9], [np.full(RESAMPLES, value) for value in (0.5, 0.9)])
    rows = rows_of({"base": still, "exemplar": better}, 2)
    assert rows["base", ""]["low"] == pytest.approx(0.5 - 0.1 * math.sqrt(2))
    assert rows["exemplar", "base"]["difference_high"] == pytest.approx(0.2 + 0.1 * math.sqrt(2))


def test_seeds_enter_the_difference_in_pairs():
    """Seeds that are lucky for both arms alike leave the difference without spread."""
    values = [0.3, 0.5, 0.9]
    still = [np.full(RESAMPLES, value) for value in values]
    better = Scores([v + 0.05 for v in values], [s + 0.05 for s in still])
    row = rows_of({"base": Scores(values, still), "exemplar": better}, 3)["exemplar", "base"]
    assert row["difference_low"] == pytest.approx(0.05)
    assert row["difference_high"] == pytest.approx(0.05)


def test_one_seed_has_no_spread(rng):
    row = rows_of({"base": scores([0.5], 0.01, rng, shared=0)}, 1)["base", ""]
    assert math.isnan(row["seed_std"])
    assert row["low"] < 0.5 < row["high"]


def test_intervals_stay_within_the_range_of_metrics(rng):
    row = rows_of({"base": scores([0.99, 1.0], 0.2, rng, shared=0)}, 2)["base", ""]
    assert row["high"] == 1


def test_every_arm_is_compared_with_every_control_but_itself(rng):
    names = ("base", "crop_paste", "geometric")
    rows = rows_of({name: scores([0.5, 0.6], 0.01, rng, shared=0) for name in names}, 2)
    assert set(rows) == {
        *((name, "") for name in names),
        ("base", "crop_paste"),
        ("crop_paste", "base"),
        ("geometric", "base"),
        ("geometric", "crop_paste"),
    }
    assert math.isnan(rows["geometric", ""]["difference"])
    gaps = [rows[key]["difference_low"] for key in rows if key[1]]
    assert not np.isnan(gaps).any()


def test_a_control_beside_is_compared_with_and_has_no_rows_of_its_own(rng):
    arms = {name: scores([0.5, 0.6], 0.01, rng, shared=0) for name in ("base", "exemplar")}
    memory = {"normals_only": scores([0.3, 0.3], 0.01, rng, shared=0)}
    rows = compare(arms, seed_weights(2, RESAMPLES, 0), 0.95, memory)
    gaps = {(row["arm"], row["against"]): row["difference"] for row in rows}
    assert set(gaps) == {
        ("base", ""),
        ("base", "normals_only"),
        ("exemplar", ""),
        ("exemplar", "base"),
        ("exemplar", "normals_only"),
    }
    assert gaps["exemplar", "normals_only"] == pytest.approx(0.25)


def test_a_difference_as_large_as_detectable_is_found_in_four_of_five_test_sets(rng):
    """Draw test sets whose true difference is the detectable one, and count how often it shows."""
    error, trials = 0.03, 400
    size = detectable(rng.normal(0, error, 100_000), 0.95)
    assert size == pytest.approx((1.96 + 0.8416) * error, rel=0.01)
    found = rng.normal(size, error, trials)[:, None] + rng.normal(0, error, (trials, 500))
    shown = np.mean([interval(draws, 0.95)[0] > 0 for draws in found])
    assert 0.73 < shown < 0.87


def test_what_does_not_vary_hides_nothing():
    still = Scores([0.5, 0.5], [np.full(RESAMPLES, 0.5)] * 2)
    row = rows_of({"base": still, "exemplar": still}, 2)["exemplar", "base"]
    assert row["detectable"] == row["difference"] == 0
    assert math.isnan(detectable(np.full(10, np.nan), 0.95))


@pytest.mark.parametrize(
    ("task", "kind", "metric"),
    [
        ("localization", "crack", "pixel_ap"),
        ("localization", "all", "mean_pixel_ap"),
        ("classification", "crack", "f1"),
        ("classification", "all", "macro_f1"),
    ],
)
def test_primary_metric(task, kind, metric):
    assert primary_metric(task, kind) == metric
