from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.options import LatentMaskOptions, MaskOptions
from defectsynth_pipeline.rendering import Rendered
from defectsynth_pipeline.shape.area import area_ratio_table, count_distinct
from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.parents import Parents
from defectsynth_pipeline.shape.plan import plan_masks
from defectsynth_pipeline.shape.render import (
    geometric_mask,
    perlin_mask,
    perlin_noise,
    render_masks,
)
from refusals import refused
from shape.builders import masks_of
from shape.conftest import WriteSamples

KINDS = ("crack", "scratch", "speck", "stain")


def made(samples: pd.DataFrame, options: MaskOptions) -> tuple[pd.DataFrame, list[Rendered]]:
    plan = plan_masks(samples, area_ratio_table(samples, options), options)
    return plan, list(render_masks(plan, samples, options))


def parents_of(samples: pd.DataFrame) -> Parents:
    size = (int(samples["height"].iloc[0]), int(samples["width"].iloc[0]))
    return Parents(samples, size, 0.25)


@pytest.fixture
def samples(write_samples: WriteSamples) -> pd.DataFrame:
    """Four base masks of each kind."""
    return write_samples({kind: masks_of(kind) for kind in KINDS})


def of_kind(samples: pd.DataFrame, *kinds: str) -> pd.DataFrame:
    return samples[samples["defect_type"].isin(kinds)]


@pytest.mark.parametrize("method", ["image", "perlin", "geometric"])
def test_every_row_gives_a_plausible_mask_of_its_size(samples: pd.DataFrame, method: str) -> None:
    # With other seeds a crack may be cut by the frame in all its four turns, and is copied then.
    options = MaskOptions.model_validate({"count": 40, "method": method, "seed": 1})
    plan, items = made(samples, options)
    assert sorted(item.image_id for item in items) == sorted(plan["image_id"])
    by_id = plan.set_index("image_id")
    for item in items:
        mask, row = item.arrays["mask"], by_id.loc[item.image_id]
        assert mask.dtype == bool
        assert mask.shape == (row["height"], row["width"])
        assert mask.any()
        assert item.record["space"] == method
        assert item.record["area_ratio"] == pytest.approx(mask.mean())


def test_the_numbers_of_the_issue_hold_on_every_type(samples: pd.DataFrame) -> None:
    plan, items = made(samples, MaskOptions(count=100, per="type", method="image"))
    by_id = {item.image_id: item for item in items}
    for kind in KINDS:
        chosen = [by_id[name] for name in plan.loc[plan["defect_type"] == kind, "image_id"]]
        masks = [item.arrays["mask"] for item in chosen]
        parents = parents_of(samples[samples["defect_type"] == kind])
        low, high = parents.bounds.area
        inside = [low <= mask.sum() <= high for mask in masks]
        width = np.median([measured.width for measured in parents.measures.values()])
        assert count_distinct(masks) >= 98, kind
        assert np.mean(inside) >= 0.98, kind
        ratio = np.median([measure(mask).width for mask in masks]) / width
        assert 1 / 1.25 < ratio < 1.25, kind
        fallbacks = [item.record["way"] in ("warped", "copied") for item in chosen]
        assert np.mean(fallbacks) < 0.15, kind


@pytest.mark.parametrize("estimator", ["distance", "coordinates"])
def test_any_subset_in_any_order_gives_the_same_masks(
    write_samples: WriteSamples, estimator: str
) -> None:
    samples = write_samples({kind: masks_of(kind, 3) for kind in ("crack", "scratch", "speck")})
    options = MaskOptions.model_validate({"count": 150, "estimator": estimator})
    plan, items = made(samples, options)
    whole = {item.image_id: item for item in items}
    some = plan.sample(30, random_state=0)
    for item in render_masks(some, samples[::-1], options):
        assert (item.arrays["mask"] == whole[item.image_id].arrays["mask"]).all()
        assert item.record == whole[item.image_id].record


def test_cracks_are_made_of_strokes_and_variations_say_so(write_samples: WriteSamples) -> None:
    samples = write_samples({"crack": masks_of("crack", 3), "scratch": masks_of("scratch", 3)})
    plan, items = made(samples, MaskOptions(count=100, method="image"))
    ways = {item.image_id: str(item.record["way"]) for item in items}
    assert sum(way == "parts" for way in ways.values()) >= 25
    assert sum(way == "interpolated" for way in ways.values()) >= 25
    varied = plan.loc[plan["way"] == "varied", "image_id"]
    assert len(varied) >= 40
    assert {ways[name] for name in varied} <= {"varied", "warped"}


def test_latent_rows_need_a_base_model(samples: pd.DataFrame) -> None:
    with refused("base model", "part/stain"):
        made(of_kind(samples, "stain"), MaskOptions(count=4))


def test_implausible_latent_masks_are_replaced_in_image_space_and_counted(
    samples: pd.DataFrame, smooth_model: BaseModel
) -> None:
    """Random weights cannot give a plausible mask; the set is complete all the same."""
    samples = of_kind(samples, "stain")
    options = MaskOptions(count=8, latent=LatentMaskOptions(steps=2, batch_size=4))
    plan = plan_masks(samples, area_ratio_table(samples, options), options)
    assert set(plan["space"]) == {"latent"}
    items = list(render_masks(plan, samples, options, smooth_model))
    assert len(items) == 8
    for item in items:
        assert item.arrays["mask"].any()
        assert item.record["space"] == "image"
        assert str(item.record["rejected"]).startswith("latent:")


def test_varied_latent_masks_are_masks_of_their_own(
    samples: pd.DataFrame, smooth_model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pair and one alpha give the same latents every time; what is varied must differ."""
    samples = of_kind(samples, "stain")
    parent = next(iter(parents_of(samples).masks.values()))

    def same(rows: pd.DataFrame, *_: object) -> dict[str, np.ndarray]:
        return dict.fromkeys(rows["image_id"], parent)

    monkeypatch.setattr("defectsynth_pipeline.shape.render.interpolate_latents", same)
    options = MaskOptions(count=40, frames_per_pair=2)
    plan = plan_masks(samples, area_ratio_table(samples, options), options)
    varied = set(plan.loc[plan["way"] == "varied", "image_id"])
    made = [
        item.arrays["mask"]
        for item in render_masks(plan, samples, options, smooth_model)
        if item.image_id in varied and item.record["space"] == "latent"
    ]
    assert len(made) >= 20
    assert count_distinct(made) == len(made)


def test_a_plan_for_other_samples_is_refused(samples: pd.DataFrame) -> None:
    options = MaskOptions(count=4, method="image")
    plan, _ = made(of_kind(samples, "speck", "scratch"), options)
    with refused("without base masks", "part/scratch"):
        list(render_masks(plan, of_kind(samples, "speck"), options))


def test_perlin_noise_is_zero_on_its_lattice_and_smooth_between() -> None:
    noise = perlin_noise(np.random.default_rng(0), (64, 64), 4)
    assert np.abs(noise[::16, ::16]).max() < 1e-12
    assert 0.2 < np.abs(noise).max() <= 1
    assert np.abs(np.diff(noise, axis=0)).max() < 0.25


def test_perlin_masks_have_an_area_of_the_base_masks(samples: pd.DataFrame) -> None:
    parents = parents_of(of_kind(samples, "stain"))
    for seed in range(20):
        mask = perlin_mask(np.random.default_rng(seed), (96, 96), parents.bounds)
        assert parents.bounds.area[0] <= mask.sum() <= parents.bounds.area[1]


@pytest.mark.parametrize("kind", ["crack", "scratch", "speck"])
def test_geometric_masks_keep_the_shape_but_not_the_place(samples: pd.DataFrame, kind: str) -> None:
    parents = parents_of(of_kind(samples, kind))
    name = next(iter(parents.masks))
    masks = [geometric_mask(np.random.default_rng(seed), parents, name) for seed in range(8)]
    centres = np.array([np.argwhere(mask).mean(axis=0) for mask in masks if mask.any()])
    assert centres.std(axis=0).min() > 5
    if kind != "crack":  # cracks may leave the frame
        areas = [mask.sum() for mask in masks]
        assert min(areas) >= parents.bounds.area[0] * 0.95
        assert max(areas) <= parents.bounds.area[1] * 1.05


def test_a_broken_edge_has_no_gap_before_the_frame(write_samples: WriteSamples) -> None:
    columns = np.arange(96)
    edges = [18 + 3 * np.sin(columns / 9), 30 + 4 * np.cos(columns / 6), 24 + columns / 16]
    broken = [np.arange(64)[:, None] < edge for edge in edges]
    _, items = made(write_samples({"break": broken}), MaskOptions(count=40, method="image"))
    for item in items:
        assert item.arrays["mask"][0].mean() >= 0.8
        assert not item.arrays["mask"][-1].any()
    assert count_distinct(item.arrays["mask"] for item in items) >= 38
    assert sum(item.record["way"] == "copied" for item in items) == 0
