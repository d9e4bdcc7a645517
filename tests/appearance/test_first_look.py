"""Drafts before any training: of every type and engine, from base and normal samples alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.appearance.engines import TRIED, Tried
from defectsynth_pipeline.appearance.first_look import first_look
from defectsynth_pipeline.figures.strips import draw_drafts
from defectsynth_pipeline.options import MaskOptions
from refusals import refused
from small_models import SYNTHESIS, changed


def flat(drafts: dict[str, list[Tried]]) -> list[Tried]:
    return [draft for made in drafts.values() for draft in made]


@pytest.fixture(scope="module")
def drafts(all_samples: pd.DataFrame) -> dict:
    return first_look(all_samples, MaskOptions(method="latent"), SYNTHESIS, each=2)


def test_every_type_has_drafts_of_every_engine(all_samples: pd.DataFrame, drafts: dict) -> None:
    base = all_samples[all_samples["split"] == "base"]
    for category, kinds in base.groupby("category")["defect_type"]:
        made = {(draft.defect_type, draft.engine) for draft in drafts[category]}
        assert made == {(kind, engine) for kind in kinds for engine in TRIED}
        assert len(drafts[category]) == 2 * len(made)


def test_a_defect_can_be_seen_in_every_draft(drafts: dict) -> None:
    for draft in flat(drafts):
        assert draft.mask.any()
        inside, outside = (draft.image[where].mean() for where in (draft.mask, ~draft.mask))
        assert abs(inside - outside) > 2


def test_a_defect_can_be_seen_whatever_the_network_would_do(
    all_samples: pd.DataFrame, drafts: dict
) -> None:
    """As with Stable Diffusion, where the defect is the network's alone."""
    alone = changed(SYNTHESIS, compose={"mode": "delta"})
    again = first_look(all_samples, MaskOptions(method="latent"), alone, each=2)
    for one, other in zip(flat(drafts), flat(again), strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_the_same_samples_give_the_same_drafts(all_samples: pd.DataFrame, drafts: dict) -> None:
    again = first_look(all_samples, MaskOptions(method="latent"), SYNTHESIS, each=2)
    for one, other in zip(flat(drafts), flat(again), strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_test_images_may_be_missing(all_samples: pd.DataFrame, drafts: dict) -> None:
    rest = all_samples[all_samples["split"] != "test"]
    assert len(rest) < len(all_samples)
    again = first_look(rest, MaskOptions(method="latent"), SYNTHESIS, each=2)
    assert {name: len(made) for name, made in again.items()} == {
        name: len(made) for name, made in drafts.items()
    }


def test_a_base_image_that_is_also_a_test_image_is_refused(all_samples: pd.DataFrame) -> None:
    leaked = all_samples[all_samples["split"] == "base"].iloc[:1].assign(split="test")
    with refused("the first look"):
        first_look(pd.concat([all_samples, leaked]), MaskOptions(), SYNTHESIS)


def test_each_type_is_drawn_beside_its_real_ones(all_samples: pd.DataFrame, drafts: dict) -> None:
    figure = draw_drafts(all_samples, drafts)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert len(titles) == len({(c, d.defect_type) for c, made in drafts.items() for d in made})
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert [text.split("\n")[0] for text in shown[:2]] == ["real", "real"]
    assert shown[2:] == [f"draft: {engine}" for engine in TRIED for _ in range(2)]
