"""From plan to pictures: one row, one image, whatever is rendered beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

from categories import publish_job
from defectsynth_pipeline.appearance.batching import batched
from defectsynth_pipeline.appearance.engines import Judged, Made
from defectsynth_pipeline.appearance.plan import DRAWN, plan_synthesis
from defectsynth_pipeline.appearance.render import Region, region_maker, render_plan
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import FramingOptions, PromptOptions, SynthesisOptions
from defectsynth_pipeline.rendering import ImageSetJob, Rendered
from small_models import FRAMING, SYNTHESIS, changed, engines_of

Render = Callable[..., dict[str, Rendered]]
MakeRegions = Callable[..., list[Region]]
Images = dict[str, Rendered]
RECORD = {
    *("contrast", "verdict", "overlap", "mask_pixels", "pixels_outside_collar", "attempts"),
    *("network", "collar"),
    *DRAWN,
    *("frame_x", "frame_y", "frame_width", "frame_height", "resolution", "model"),
}


def accept(made: Made) -> Judged:
    return Judged(True, made.mask, {"verdict": "accepted"})


@pytest.fixture(scope="module")
def plan(all_samples: pd.DataFrame, masks: ImageSet) -> pd.DataFrame:
    """Sixteen images of four types, RGB and 16-bit grey, in groups of two."""
    options = changed(SYNTHESIS, count=16)
    return plan_synthesis(all_samples, masks, engines_of(masks), options, PromptOptions())


@pytest.fixture(scope="module")
def render(
    all_samples: pd.DataFrame, masks: ImageSet, small: BaseModel, plan: pd.DataFrame
) -> Render:
    data = {"samples": all_samples, "masks": masks, "base": small}

    def call(
        options: SynthesisOptions = SYNTHESIS,
        framing: FramingOptions = FRAMING,
        *,
        rows: pd.DataFrame = plan,
        missing: pd.DataFrame | None = None,
        judge: Callable[[Made], Judged] = accept,
    ) -> Images:
        missing = rows if missing is None else missing
        how = {"options": options, "framing": framing, "judge": judge}
        return {item.image_id: item for item in render_plan(missing, rows, **data, **how)}

    return call


@pytest.fixture(scope="module")
def rendered(render: Render) -> Images:
    return render()


@pytest.fixture
def backgrounds(all_samples: pd.DataFrame, plan: pd.DataFrame) -> dict[str, np.ndarray]:
    index = all_samples.set_index("sample_id", drop=False)
    return {row.image_id: Sample.of(index.loc[row.background]).image() for row in plan.itertuples()}


def same_images(one: Images, other: Images) -> bool:
    assert one.keys() == other.keys()
    return all(np.array_equal(one[i].arrays["image"], other[i].arrays["image"]) for i in one)


def test_one_item_per_row_in_the_backgrounds_format(
    rendered: Images, plan: pd.DataFrame, backgrounds: dict[str, np.ndarray]
) -> None:
    assert set(rendered) == set(plan["image_id"])
    kinds = set()
    for image_id, item in rendered.items():
        image, background = item.arrays["image"], backgrounds[image_id]
        assert (image.shape, image.dtype) == (background.shape, background.dtype)
        assert item.arrays["mask"].shape == image.shape[:2] == (64, 80)
        assert item.arrays["mask"].dtype == bool
        assert item.arrays["mask"].any()
        kinds.add((image.dtype.name, image.ndim))
    assert kinds == {("uint8", 3), ("uint16", 2)}


@pytest.mark.parametrize("mode", ["delta", "feather", "exemplar"])
@pytest.mark.parametrize("framing", ["roi", "full"])
def test_no_pixel_outside_the_collar_differs(
    render: Render, backgrounds: dict[str, np.ndarray], mode: str, framing: str
) -> None:
    options = changed(SYNTHESIS, compose={"mode": mode, "collar": 1.0})
    for image_id, item in render(options, FramingOptions(mode=framing)).items():
        image, background, mask = item.arrays["image"], backgrounds[image_id], item.arrays["mask"]
        differs = (image != background).reshape(*mask.shape, -1).any(-1)
        near = ndimage.distance_transform_edt(~mask) <= 1.0
        assert not (differs & ~near).any()
        assert differs[mask].mean() > 0.5
        assert item.record["pixels_outside_collar"] == 0


def test_batches_and_order_do_not_change_an_image(
    render: Render, rendered: Images, plan: pd.DataFrame
) -> None:
    variants = {
        "one by one": render(changed(SYNTHESIS, batch_size=1), rows=batched(plan, 1)),
        "in eights": render(changed(SYNTHESIS, batch_size=8), rows=batched(plan, 8)),
        "reversed": render(rows=plan[::-1]),
        "reversed one by one": render(changed(SYNTHESIS, batch_size=1), rows=plan[::-1]),
        "shuffled": render(rows=plan.sample(frac=1, random_state=0)),
    }
    for name, items in variants.items():
        assert_same(items, rendered, name)


def assert_same(one: Images, other: Images, name: str = "") -> None:
    """Equal but for one level of the image's own 255 or 65535 in a pixel among thousands.

    Convolutions over batches of another size add up in another order; where a float's last bit
    decides how a pixel is rounded, it shows.
    """
    assert one.keys() == other.keys()
    pairs = [(one[i].arrays["image"], other[i].arrays["image"]) for i in one]
    gaps = np.concatenate([np.abs(a.astype(int) - b.astype(int)).ravel() for a, b in pairs])
    assert gaps.max() <= 1, f"{name}: {gaps.max()} levels"
    assert (gaps > 0).mean() <= 1e-3, f"{name}: {(gaps > 0).sum()} of {gaps.size}"
    for a, b in ((one[i].arrays["mask"], other[i].arrays["mask"]) for i in one):
        assert np.array_equal(a, b)


def test_rendering_twice_is_bit_equal(render: Render, rendered: Images) -> None:
    assert same_images(render(), rendered)


def test_only_missing_images_are_made_and_are_the_same(
    render: Render, rendered: Images, plan: pd.DataFrame
) -> None:
    missing = plan.iloc[[1, 6, 7]]
    items = render(missing=missing)
    assert set(items) == set(missing["image_id"])
    assert same_images(items, {i: rendered[i] for i in items})


def test_each_switch_changes_images_by_itself(render: Render) -> None:
    strong = changed(SYNTHESIS, sae={"weights": "eq7"}, sff={"rate": 1.0})
    switches = itertools.product([True, False], repeat=2)
    variants = [
        render(changed(strong, sae={"enabled": sae}, sff={"enabled": sff})) for sae, sff in switches
    ]
    for one, other in itertools.combinations(variants, 2):
        assert not same_images(one, other)


def test_an_image_alone_in_its_group_is_not_fused(render: Render, plan: pd.DataFrame) -> None:
    alone = plan.assign(group=plan["image_id"])
    off = changed(SYNTHESIS, sff={"enabled": False})
    assert_same(render(rows=alone), render(off, rows=alone))


def test_nothing_but_the_plan_and_its_samples_is_read(
    render: Render, rendered: Images, plan: pd.DataFrame
) -> None:
    other = plan.assign(prompt="a binary mask")
    assert not same_images(render(rows=other), rendered)
    reseeded = plan.assign(seed=plan["seed"] + 1)
    assert not same_images(render(rows=reseeded), rendered)


def test_the_autoencoder_sees_images_between_minus_one_and_one(
    render: Render, seen: list[torch.Tensor]
) -> None:
    render(changed(SYNTHESIS, compose={"mode": "exemplar"}))
    ours = torch.cat([images for images in seen if images.any()])  # not the pipeline's blank
    assert -1 <= ours.min() < -0.5
    assert 0.1 < ours.max() <= 1


def test_records_say_what_was_made(rendered: Images, small: BaseModel, plan: pd.DataFrame) -> None:
    for item in rendered.values():
        assert set(item.record) == RECORD
        assert (item.record["verdict"], item.record["attempts"]) == ("accepted", 1)
        assert item.record["mask_pixels"] == item.arrays["mask"].sum()
        assert 0 <= item.record["overlap"] <= 1.05
        assert 0 <= item.record["contrast"] <= 1
        assert item.record["model"] == small.fingerprint
        assert item.record["frame_width"] >= 32
        assert item.record["resolution"] == small.resolution == 32


class Refusing:
    """Refuses the first attempts at every image: as many as the image's number modulo three."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Made]] = {}

    def __call__(self, made: Made) -> Judged:
        before = self.seen.setdefault(made.row.image_id, [])
        before.append(made)
        accepted = len(before) > int(made.row.image_id[-5:]) % 3
        return Judged(accepted, made.mask, {"verdict": str(accepted)})


def test_what_is_refused_is_drawn_and_made_anew(render: Render, plan: pd.DataFrame) -> None:
    judge = Refusing()
    items = render(changed(SYNTHESIS, attempts=2), judge=judge)
    planned = plan.set_index("image_id")
    for image_id, item in items.items():
        refused = int(image_id[-5:]) % 3
        assert item.rejected == (refused == 2)
        assert item.record["attempts"] == len(judge.seen[image_id]) == min(refused + 1, 2)
        if refused:
            first, second = judge.seen[image_id]
            assert second.row.seed != planned.loc[image_id, "seed"]
            assert not (
                first.image.shape == second.image.shape and (first.image == second.image).all()
            )
        last = judge.seen[image_id][-1].row
        assert {name: item.record[name] for name in DRAWN} == {n: getattr(last, n) for n in DRAWN}


def test_attempts_depend_on_the_plan_alone(render: Render, plan: pd.DataFrame) -> None:
    options = changed(SYNTHESIS, attempts=2)
    whole = render(options, judge=Refusing())
    one_by_one = render(changed(options, batch_size=1), judge=Refusing(), rows=plan[::-1])
    assert_same(one_by_one, whole)
    for image_id, item in whole.items():
        told = one_by_one[image_id]
        assert (told.rejected, told.record["attempts"]) == (item.rejected, item.record["attempts"])


def test_the_judges_mask_is_the_one_that_is_kept(render: Render, plan: pd.DataFrame) -> None:
    def relabel(made: Made) -> Judged:
        mask = np.zeros_like(made.mask)
        mask[:2, :3] = True
        return Judged(True, mask, {"verdict": "relabelled"})

    for item in render(missing=plan[:2], judge=relabel).values():
        assert item.arrays["mask"].sum() == item.record["mask_pixels"] == 6


def test_a_stopped_rendering_goes_on(
    render: Render, rendered: Images, plan: pd.DataFrame, tmp_path: Path
) -> None:
    """Published after a stop: the manifest's columns, and the pictures of an unbroken run."""
    made: list[str] = []

    def stopping(missing: pd.DataFrame):
        for number, item in enumerate(render(missing=missing).values()):
            if number == 5 and len(missing) == 16:
                raise KeyboardInterrupt
            made.append(item.image_id)
            yield item

    job = ImageSetJob("f00d", plan, stopping)
    with pytest.raises(KeyboardInterrupt):
        publish_job(job, tmp_path)
    assert not (tmp_path / "v1").exists()
    images = publish_job(job, tmp_path, "v2")
    assert len(made) == len(set(made)) == 16
    of_set = {"of_set", "licence", "image_sha256", "mask_sha256"}
    assert set(images.manifest) == {*plan, *RECORD} | of_set
    for image_id in images.manifest["image_id"]:
        stored, straight = images.array(image_id, "image"), rendered[image_id].arrays["image"]
        assert stored.dtype == straight.dtype
        assert np.abs(stored.astype(int) - straight.astype(int)).max() <= 1
        assert np.array_equal(images.array(image_id, "mask"), rendered[image_id].arrays["mask"])


@pytest.fixture(scope="module")
def regions(all_samples: pd.DataFrame, masks: ImageSet, small: BaseModel) -> MakeRegions:
    def make(
        framing: str = "roi",
        mode: str = "delta",
        engines: tuple[str, ...] = (),
        samples: pd.DataFrame = all_samples,
        masks: ImageSet = masks,
        **columns: object,
    ) -> list[Region]:
        options = changed(SYNTHESIS, compose={"mode": mode})
        plan = plan_synthesis(samples, masks, engines_of(masks, *engines), options, PromptOptions())
        plan = plan.assign(**columns)
        maker = region_maker(samples, masks, small, options, FramingOptions(mode=framing))
        return [maker(row) for row in plan.itertuples(index=False)]

    return make


@pytest.mark.parametrize("framing", ["roi", "full"])
def test_what_the_model_sees(regions: MakeRegions, framing: str) -> None:
    for region in regions(framing):
        for picture in (region.seen, region.reference):
            assert picture.shape == (32, 32, 3)
            assert 0 <= picture.min() < picture.max() <= 1
        assert region.cover.shape == (32, 32)
        assert 0.2 < region.cover.max() <= 1
        assert region.alignment.overlap >= region.alignment.identity_overlap
        assert (region.begun == region.background).all()
        assert (region.start == region.seen).all()
        assert region.mask.shape == (64, 80)


@pytest.mark.parametrize("framing", ["roi", "full"])
@pytest.mark.parametrize("engine", ["transfer", "paste"])
def test_exemplars_start_with_a_real_defect_in_the_mask(
    regions: MakeRegions, framing: str, engine: str
) -> None:
    for region in regions(framing, "exemplar", engines=(engine,)):
        differs = (region.begun != region.background).reshape(*region.mask.shape, -1).any(-1)
        assert differs[region.mask].mean() > 0.8
        near = ndimage.distance_transform_edt(~region.mask) <= region.reach
        assert not (differs & ~near).any()
        if region.row.blend == "hard":
            assert not differs[~region.mask].any()
        assert region.start.shape == (32, 32, 3)
        assert 0 <= region.start.min() < region.start.max() <= 1


def test_the_networks_change_is_kept_where_it_is_clearly_nearer_to_real_defects(
    all_samples: pd.DataFrame, masks: ImageSet, small: BaseModel
) -> None:
    """The start of an even row is further off by a tenth than the change, of an odd one by 1 %."""
    options = changed(SYNTHESIS, engine="mixture", compose={"mode": "exemplar"}, count=16)
    engines = engines_of(masks, "transfer", "paste")
    plan = plan_synthesis(all_samples, masks, engines, options, PromptOptions())
    begun: dict[str, np.ndarray] = {}

    def judge(made: Made) -> Judged:
        even = int(made.row.image_id[-5:]) % 2 == 0
        start = (made.image == begun[made.row.image_id]).all()
        further = (1.1 if even else 1.01) if start else 1.0
        return Judged(True, made.mask, {"verdict": "accepted"}, 2 * further)

    make = region_maker(all_samples, masks, small, options, FRAMING)
    begun |= {row.image_id: make(row).begun for row in plan.itertuples(index=False)}
    data = {"samples": all_samples, "masks": masks, "base": small, "judge": judge}
    for item in render_plan(plan, plan, **data, options=options, framing=FRAMING):
        row = plan.set_index("image_id").loc[item.image_id]
        even = int(item.image_id[-5:]) % 2 == 0
        assert item.record["network"] == (even and row["engine"] == "transfer")
        same = (item.arrays["image"] == begun[item.image_id]).all()
        assert same == (not item.record["network"])


def test_a_mask_placed_off_the_image_stays_where_it_was(
    regions: MakeRegions, masks: ImageSet
) -> None:
    for region in regions(dy=500.0, centre_y=1.0, centre_x=1.0):
        assert np.array_equal(region.mask, masks.array(region.row.mask, "mask"))


def test_masks_are_brought_to_the_backgrounds_size(
    regions: MakeRegions, samples: pd.DataFrame, plates: ImageSet
) -> None:
    halves = samples.copy()
    halves.loc[halves["split"] == "normal", ["width", "height"]] = [40, 48]
    for region in regions(samples=halves, masks=plates):
        assert region.background.shape == (48, 40, 3)
        assert region.mask.shape == (48, 40)
        assert region.mask.any()
