"""Evidence, nulls and the classifier of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from categories import disc, surface, write_category
from defectsynth_pipeline.certificate.evidence import (
    PIXELS,
    TURNS,
    WIDTH,
    Seen,
    evidence,
    see,
    turned,
    window_of,
)
from defectsynth_pipeline.certificate.look import (
    REAL_VIEWS,
    fit_look,
    gather,
    held_out_scores,
    passed,
    threshold_of,
)
from defectsynth_pipeline.certificate.nulls import KINDS, Null, nulls_of, take_out
from defectsynth_pipeline.certificate.variants import variants_of
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.options import IngestOptions

SHAPE = (96, 112)


@pytest.fixture(scope="module")
def real_and_good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, list[Sample]]:
    root: Path = write_category(
        tmp_path_factory.mktemp("raw") / "plate",
        lambda seed: surface(seed, (*SHAPE, 3)),
        {"dent": lambda seed: disc(seed, SHAPE, radius=7, margin=20)},
    )
    samples = make_samples(root, IngestOptions(base_share=0.5))
    real, normals = (list(each_sample(samples[samples["split"] == s])) for s in ("base", "normal"))
    return real[0], normals


def test_evidence_of_grey_and_sixteen_bit_is_that_of_the_picture() -> None:
    image, mask = surface(1, SHAPE), disc(2, SHAPE, radius=8, margin=20)
    image[mask] //= 3
    grey16 = image.astype(np.uint16) * 257
    rgb = np.repeat(image[..., None], 3, 2)
    shown = evidence([see(picture, mask) for picture in (rgb, image, grey16)])
    assert shown.shape == (3, WIDTH)
    np.testing.assert_allclose(shown[1:], shown[:1].repeat(2, 0), rtol=1e-3, atol=1e-3)


def test_batches_do_not_change_evidence() -> None:
    masks = [disc(seed, SHAPE, radius=8, margin=20) for seed in range(20)]
    windows = [see(surface(seed, (*SHAPE, 3)), mask) for seed, mask in enumerate(masks)]
    alone = np.concatenate([evidence([window]) for window in windows])
    np.testing.assert_allclose(evidence(windows), alone, atol=1e-3)


def test_eight_different_turns() -> None:
    seen = see(surface(1, (*SHAPE, 3)), disc(2, SHAPE, radius=8, margin=30))
    turns = [turned(seen.part, number) for number in range(TURNS)]
    assert (turns[0] == seen.part).all()
    assert len({turn.tobytes() for turn in turns}) == TURNS


def test_a_view_is_the_window_turned() -> None:
    seen = see(surface(1, (*SHAPE, 3)), disc(2, SHAPE, radius=8, margin=30))
    for number, shown in enumerate(evidence([seen], range(TURNS))):
        (other,) = evidence([Seen(*(turned(array, number).copy() for array in seen))])
        np.testing.assert_allclose(shown, other, rtol=1e-3, atol=1e-3)


def test_every_kind_of_null_is_made_in_range(real_and_good: tuple[Sample, list[Sample]]) -> None:
    rng = np.random.default_rng(0)
    real, good = real_and_good
    trip = {"rounds": 3, "round_trip": lambda p: p * 0.9}
    nulls = list(nulls_of(real, take_out(real), good, rng, **trip))
    assert {null.kind for null in nulls} == set(KINDS)
    for null in nulls:
        assert null.seen.part.min() >= 0
        assert null.seen.part.max() <= 1
        assert null.seen.part.shape[:2] == null.seen.inside.shape
        assert null.seen.inside.any()


def test_a_defect_that_cannot_be_taken_out_is_not_taught_as_none(
    real_and_good: tuple[Sample, list[Sample]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a mask leaves hardly anything to copy, the picture stays what it was: a defect."""
    real, good = real_and_good
    whole = np.ones(SHAPE, bool)
    whole[:3] = False
    monkeypatch.setattr(Sample, "mask", lambda self: whole)
    made = nulls_of(real, take_out(real), good, np.random.default_rng(0), rounds=2)
    kinds = {null.kind for null in made}
    assert "untouched" in kinds
    assert not kinds & {"erased", "torn", "recoloured"}


def test_variants_are_of_two_scales_and_two_severities(
    real_and_good: tuple[Sample, list[Sample]],
) -> None:
    real, _ = real_and_good
    own = see(real.image(), real.mask())
    nearer, farther, fainter, stronger = variants_of(real, take_out(real))
    assert len(nearer.part) < len(own.part) == min(SHAPE)  # no window is wider than the image
    assert [window_of(np.pad(own.inside, 200), wide).width for wide in (1, 1.33)] == [96, 128]
    for seen in (nearer, farther):
        assert seen.inside.sum() == own.inside.sum()
    # The defect is darker than its surface, which it is not where there is less of it.
    dark = [seen.part[seen.inside].mean() for seen in (stronger, own, fainter)]
    assert dark == sorted(dark)
    for seen in (fainter, stronger):
        away = ~ndimage.binary_dilation(seen.inside, iterations=8)
        np.testing.assert_array_equal(seen.part[away], own.part[away])


def test_a_defect_that_cannot_be_taken_out_has_no_other_severity(
    real_and_good: tuple[Sample, list[Sample]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.ones(SHAPE, bool)
    whole[:3] = False
    monkeypatch.setattr(Sample, "mask", lambda self: whole)
    real, _ = real_and_good
    assert len(list(variants_of(real, take_out(real)))) == 2


def test_variants_are_learned_from_and_not_asked_about(
    real_and_good: tuple[Sample, list[Sample]],
) -> None:
    real, normals = real_and_good
    several = [replace(real, sample_id=name, group=name) for name in "ab"]
    windows, shown = gather(several, normals, nulls=8, round_trip=None, seed=0)
    of_real = windows[windows["kind"] == "real"]
    assert len(windows) == len(shown)
    assert (of_real.groupby("window").size() == REAL_VIEWS).all()
    plain, varied = (shown[of_real.index[of_real["turn"] < TURNS]], shown[of_real.index])
    assert len(np.unique(varied.round(4), axis=0)) > len(np.unique(plain.round(4), axis=0))
    asked = held_out_scores(windows, shown)
    assert (asked["kind"] == "real").sum() == 2


def test_what_looks_less_like_a_real_defect_is_further_from_it(
    real_and_good: tuple[Sample, list[Sample]],
) -> None:
    real, normals = real_and_good
    several = [replace(real, sample_id=name, group=name) for name in "ab"]
    look = fit_look(*gather(several, normals, nulls=8, round_trip=None, seed=0))
    taken = take_out(real)
    parts = [taken.part, (taken.part + taken.clean) / 2, taken.clean]
    apart = [look.of_window(Seen(part, taken.inside), real.defect_type)[1] for part in parts]
    assert apart[0] == pytest.approx(0, abs=1e-4)
    assert 0.05 < apart[1] < 0.8 * apart[2]
    others = replace(
        look,
        types=("dent", "scratch"),
        real=np.concatenate([look.real, look.real + look.scale]),
        real_types=np.repeat([0, 1], len(look.real)),
    )
    own = Seen(taken.part, taken.inside)
    assert others.of_window(own, "dent")[1] == pytest.approx(0, abs=1e-4)
    assert others.of_window(own, "scratch")[1] > 0.1


def test_a_moved_mask_does_not_touch_the_defect(real_and_good: tuple[Sample, list[Sample]]) -> None:
    rng = np.random.default_rng(1)
    real, good = real_and_good
    made = nulls_of(real, take_out(real), good, rng, rounds=8)
    nulls = [null for null in made if null.kind == "moved"]
    assert nulls
    for null in nulls:
        grey = null.seen.part.mean(-1)
        assert np.median(grey[null.seen.inside]) > 0.25  # the defect itself is a third as bright


@pytest.mark.parametrize("types", [["dent"], ["dent", "scratch"]])
def test_probabilities_sum_to_one(types: list[str]) -> None:
    rng = np.random.default_rng(0)
    kinds = [*["real"] * (8 * len(types)), *["grain"] * 8]
    names = [*(name for name in types for _ in range(8)), *["dent"] * 8]
    windows = pd.DataFrame({"kind": kinds, "defect_type": names, "turn": 0})
    shown = rng.normal(size=(len(windows), PIXELS + 2)).astype(np.float32)
    shown[:8, 0] += 6
    look = fit_look(windows, shown)
    found = look.scores(shown)
    assert (look.types, look.kinds) == (tuple(types), ("grain",))
    np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=1e-5)
    assert (found[:8].argmax(1) == look.types.index("dent")).mean() > 0.8


def scored(real: list[float], null: list[float]) -> pd.DataFrame:
    kinds = ["real"] * len(real) + ["grain"] * len(null)
    folds = [*range(len(real)), *(i % len(real) for i in range(len(null)))]
    return pd.DataFrame({"kind": kinds, "score": [*real, *null], "fold": folds})


def test_the_threshold_lies_between_real_ones_and_nulls() -> None:
    scores = scored([-0.1] * 10, [-5.0] * 50)
    assert threshold_of(scores) == pytest.approx(-0.1 - 2.9 / 3, abs=1e-2)
    assert (passed(scores) == (scores["kind"] == "real")).all()


def test_the_threshold_lies_above_the_strongest_nulls_and_not_the_weakest() -> None:
    nulls = np.linspace(-5, -1, 50)
    threshold = threshold_of(scored([-0.1] * 10, nulls.tolist()))
    assert threshold == pytest.approx(-0.1 + (nulls[48] + 0.1) / 3, abs=1e-6)


def test_nulls_do_not_pass_though_real_ones_be_lost() -> None:
    scores = scored([-0.1] * 5 + [-3.0] * 5, [-1.0] * 50)
    found = passed(scores)
    assert found[scores["kind"] == "real"].mean() == 0.5
    assert not found[scores["kind"] != "real"].any()


def test_what_is_held_out_shows_good_images_that_no_other_fold_has(
    real_and_good: tuple[Sample, list[Sample]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, normals = real_and_good
    given = []

    def recorded(
        sample: Sample, taken: object, own: list[Sample], *rest: object, **how: object
    ) -> list[Null]:
        given.append({good.sample_id for good in own})
        return []

    monkeypatch.setattr("defectsynth_pipeline.certificate.look.nulls_of", recorded)
    several = [replace(real, sample_id=name, group=name) for name in "ab"]
    gather(several, normals, nulls=8, round_trip=None, seed=0)
    assert given[0]
    assert given[1]
    assert given[0].isdisjoint(given[1])


def test_as_many_nulls_are_made_as_are_asked_for_within_bounds(
    real_and_good: tuple[Sample, list[Sample]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, normals = real_and_good
    given: list[int] = []

    def recorded(*rest: object, rounds: int, **how: object) -> list[Null]:
        given.append(rounds)
        return []

    monkeypatch.setattr("defectsynth_pipeline.certificate.look.nulls_of", recorded)
    for nulls in (1, 32, 10_000):
        gather([real], normals, nulls=nulls, round_trip=None, seed=0)
    assert given == [1, 4, 6]
