"""A row of the plan as arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.appearance.plan import plan_synthesis
from defectsynth_pipeline.appearance.render import Region, region_maker
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import FramingOptions, PromptOptions
from small_models import SYNTHESIS, changed


def make(
    samples: pd.DataFrame,
    masks: ImageSet,
    base: BaseModel,
    *,
    framing: str = "roi",
    mode: str = "delta",
    **columns: object,
) -> list[Region]:
    options = changed(SYNTHESIS, compose={"mode": mode})
    plan = plan_synthesis(samples, masks, options, PromptOptions()).assign(**columns)
    maker = region_maker(samples, masks, base, options, FramingOptions(mode=framing))
    return [maker(row) for row in plan.itertuples(index=False)]


@pytest.mark.parametrize("framing", ["roi", "full"])
def test_what_the_model_sees(
    all_samples: pd.DataFrame, masks: ImageSet, small: BaseModel, framing: str
) -> None:
    for region in make(all_samples, masks, small, framing=framing):
        for picture in (region.seen, region.reference):
            assert picture.shape == (32, 32, 3)
            assert 0 <= picture.min() < picture.max() <= 1
        assert region.cover.shape == (32, 32)
        assert 0.2 < region.cover.max() <= 1
        assert region.alignment.overlap >= region.alignment.identity_overlap
        assert region.start is None
        assert region.mask.shape == (64, 80)


@pytest.mark.parametrize("framing", ["roi", "full"])
def test_exemplars_start_at_native_size(
    all_samples: pd.DataFrame, masks: ImageSet, small: BaseModel, framing: str
) -> None:
    for region in make(all_samples, masks, small, framing=framing, mode="exemplar"):
        assert region.start is not None
        side = max(region.frame.width, region.frame.height)
        assert region.start.shape == (side, side, 3)
        assert 0 <= region.start.min() < region.start.max() <= 1


def test_a_mask_placed_off_the_image_stays_where_it_was(
    all_samples: pd.DataFrame, masks: ImageSet, small: BaseModel
) -> None:
    for region in make(all_samples, masks, small, dy=500.0, centre_y=1.0, centre_x=1.0):
        assert np.array_equal(region.mask, masks.array(region.row.mask, "mask"))


def test_masks_are_brought_to_the_backgrounds_size(
    samples: pd.DataFrame, masks: ImageSet, small: BaseModel
) -> None:
    halves = samples.copy()
    normal = halves["split"] == "normal"
    halves.loc[normal, ["width", "height"]] = [40, 48]
    plates = ImageSet(masks.root, masks.manifest.query("category == 'plate'"))
    for region in make(halves, plates, small):
        assert region.background.shape == (48, 40, 3)
        assert region.mask.shape == (48, 40)
        assert region.mask.any()
