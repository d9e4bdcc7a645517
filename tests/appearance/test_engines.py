"""Ways onto a background, and which of them suits which type."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.appearance.engines import Judged, Made, choose_engines
from defectsynth_pipeline.imagesets import ImageSet
from small_models import SYNTHESIS, changed

TRIED = 8


def accepting(**engines: float):
    """A judge that accepts a share of every engine's images."""
    seen: dict[str, int] = {}

    def judge(made: Made) -> Judged:
        assert made.mask.any()
        assert (made.image != made.background).any()
        engine = made.row.engine
        number = seen[engine] = seen.get(engine, -1) + 1
        return Judged(number % TRIED < engines[engine] * TRIED, made.mask, {})

    return judge


def chosen(samples: pd.DataFrame, masks: ImageSet, engine: str, **shares: float) -> pd.DataFrame:
    options = changed(SYNTHESIS, engine=engine, trials=TRIED)
    table = choose_engines(samples, masks, options, accepting(**shares))
    assert len(table.groupby(["category", "defect_type"])) == 4
    sums = table.groupby(["category", "defect_type"])["share"].sum()
    np.testing.assert_allclose(sums, 1)
    return table.set_index("engine")


@pytest.mark.parametrize(
    ("transfer", "paste", "share"),
    [(1.0, 1.0, 0.5), (0.5, 1.0, 0.0), (0.75, 0.5, 1.0), (0.875, 1.0, 0.875 / 1.875)],
)
def test_engines_that_are_nearly_as_good_share_the_images(
    all_samples: pd.DataFrame, masks: ImageSet, transfer: float, paste: float, share: float
) -> None:
    table = chosen(all_samples, masks, "auto", transfer=transfer, paste=paste)
    assert (table["tried"] == TRIED).all()
    assert table.loc["transfer", "accepted"].tolist() == [transfer] * 4
    np.testing.assert_allclose(table.loc["transfer", "share"], share)


def test_where_nothing_is_accepted_all_engines_go_on_and_it_is_said(
    all_samples: pd.DataFrame, masks: ImageSet, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        table = chosen(all_samples, masks, "auto", transfer=0.0, paste=0.0)
    assert (table["share"] == 0.5).all()
    assert caplog.text.count("no engine made an image that is accepted") == 4


@pytest.mark.parametrize(
    ("engine", "used"),
    [("paste", ["paste"]), ("diffusion", ["diffusion"]), ("mixture", ["transfer", "paste"])],
)
def test_a_named_engine_is_not_tried(
    all_samples: pd.DataFrame, masks: ImageSet, engine: str, used: list[str]
) -> None:
    table = chosen(all_samples, masks, engine)
    assert list(dict.fromkeys(table.index)) == used
    assert (table["tried"] == 0).all()


def test_test_samples_are_not_looked_at(all_samples: pd.DataFrame, masks: ImageSet) -> None:
    judge = accepting(transfer=1.0, paste=0.875)
    options = changed(SYNTHESIS, engine="auto", trials=TRIED)
    without = all_samples[all_samples["split"] != "test"]
    first = choose_engines(all_samples, masks, options, judge)
    second = choose_engines(without, masks, options, accepting(transfer=1.0, paste=0.875))
    pd.testing.assert_frame_equal(first, second)


def test_only_diffusion_composes_otherwise_than_by_exemplars() -> None:
    with pytest.raises(ValueError, match=r"use engine: diffusion"):
        changed(SYNTHESIS, engine="transfer", compose={"mode": "delta"})
