"""Which of the ways onto a background suits which type, asked of base images alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.appearance.engines import TRIED, Judged, Made, Tried, try_engines
from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.corpora.split import folds_of
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.inspection import engine_choice, usefulness
from small_models import SYNTHESIS, changed

TRIALS = 6
ALL = dict.fromkeys(TRIED, 1.0)


def accepting(shares: dict[str, float]):
    """A judge that accepts a share of every engine's images."""
    seen: dict[tuple[str, str, str], int] = {}

    def judge(made: Made) -> Judged:
        assert made.mask.any()
        assert (made.image != made.background).any()
        key = made.row.category, made.row.defect_type, made.row.engine
        number = seen[key] = seen.get(key, -1) + 1
        return Judged(number % 2 < shares[made.row.engine] * 2, made.mask, {})

    return judge


@pytest.fixture
def gains(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[float, float]]:
    """Gain and error by engine, told instead of measured."""
    told = dict.fromkeys(TRIED, (0.0, 0.1))

    def measure(
        base: Sequence, normals: object, folds: object, trials: object, seed: int
    ) -> pd.DataFrame:
        assert {sample.split for sample in base} == {"base"}
        list(trials)  # type: ignore[call-overload]
        rows = [
            (base[0].category, kind, engine, 2, 0.5, *told[engine])
            for kind in sorted({sample.defect_type for sample in base})
            for engine in TRIED
        ]
        return pd.DataFrame(rows, columns=list(usefulness.COLUMNS))

    monkeypatch.setattr(usefulness, "usefulness", measure)
    return told


def chosen(samples: pd.DataFrame, masks: ImageSet, engine: str, **shares: float) -> pd.DataFrame:
    options = changed(SYNTHESIS, engine=engine, trials=TRIALS)
    judge = accepting(ALL | shares)
    table, trials = engine_choice.choose_engines(samples, masks, options, judge)
    assert len(table.groupby(["category", "defect_type"])) == 4
    assert trials.empty == (engine != "auto")
    sums = table.groupby(["category", "defect_type"])["share"].sum()
    np.testing.assert_allclose(sums, 1)
    return table.set_index("engine")


@pytest.mark.parametrize(
    ("patch", "paste", "share"), [(1.0, 1.0, 1 / 3), (0.5, 1.0, 1 / 2), (0.5, 0.5, 1.0)]
)
@pytest.mark.usefixtures("gains")
def test_engines_that_are_nearly_as_often_accepted_share_the_images(
    all_samples: pd.DataFrame, masks: ImageSet, patch: float, paste: float, share: float
) -> None:
    table = chosen(all_samples, masks, "auto", patch=patch, paste=paste)
    assert table["tried"].between(2, TRIALS).all()
    assert table.loc["patch", "accepted"].tolist() == [patch] * 4
    np.testing.assert_allclose(table.loc["transfer", "share"], share)


@pytest.mark.parametrize(("gain", "share"), [(-0.05, 1 / 3), (-0.25, 0.0)])
def test_an_engine_that_helps_clearly_less_is_left_out(
    all_samples: pd.DataFrame,
    masks: ImageSet,
    gains: dict[str, tuple[float, float]],
    gain: float,
    share: float,
) -> None:
    gains["patch"] = (gain, 0.1)
    table = chosen(all_samples, masks, "auto")
    np.testing.assert_allclose(table.loc["patch", "share"], share)


def test_that_no_engine_helps_is_said(
    all_samples: pd.DataFrame,
    masks: ImageSet,
    gains: dict[str, tuple[float, float]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    gains |= {"transfer": (-0.2, 0.1), "patch": (-0.4, 0.1), "paste": (-0.6, 0.1)}
    with caplog.at_level(logging.WARNING):
        table = chosen(all_samples, masks, "auto")
    assert table.loc["transfer", "share"].tolist() == [1.0] * 4
    assert caplog.text.count("no engine's images help") == 4


@pytest.mark.usefixtures("gains")
def test_where_nothing_is_accepted_all_engines_go_on_and_it_is_said(
    all_samples: pd.DataFrame, masks: ImageSet, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        table = chosen(all_samples, masks, "auto", transfer=0.0, patch=0.0, paste=0.0)
    np.testing.assert_allclose(table["share"], 1 / 3)
    assert caplog.text.count("no engine made an image that is accepted") == 4


@pytest.mark.parametrize(
    ("engine", "used"),
    [("paste", ["paste"]), ("diffusion", ["diffusion"]), ("mixture", [*TRIED])],
)
def test_a_named_engine_is_not_tried(
    all_samples: pd.DataFrame, masks: ImageSet, engine: str, used: list[str]
) -> None:
    table = chosen(all_samples, masks, engine)
    assert list(dict.fromkeys(table.index)) == used
    assert (table["tried"] == 0).all()


def test_held_out_images_have_no_part_in_what_is_tried(
    samples: pd.DataFrame, masks: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = [*each_sample(samples[samples["split"] == "base"])]
    names = (sample.sample_id for sample in base)
    folds = dict(zip(names, folds_of(base, usefulness.FOLDS), strict=True))
    assert set(folds.values()) == {0, 1, 2}
    seen: list[Made] = []

    def judge(made: Made) -> Judged:
        seen.append(made)
        return Judged(True, made.mask, {})

    tried: list[Tried] = list(
        try_engines(samples, masks, changed(SYNTHESIS, trials=TRIALS), judge, folds)
    )
    assert len(tried) == len(seen)
    parents = masks.manifest.set_index("image_id")["parents"]
    for trial, made in zip(tried, seen, strict=True):
        sources = {made.row.reference, *made.row.others.split("|")}
        sources |= set(parents[made.row.mask].split("|"))
        assert trial.fold not in {folds[name] for name in sources if name}
    test = set(samples.loc[samples["split"] == "test", "sample_id"])
    assert not test & {m.row.reference for m in seen} | test & {m.row.background for m in seen}


def test_only_diffusion_composes_otherwise_than_by_exemplars() -> None:
    with pytest.raises(ValueError, match=r"use engine: diffusion"):
        changed(SYNTHESIS, engine="transfer", compose={"mode": "delta"})
