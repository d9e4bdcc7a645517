"""The plan: deterministic, complete, and blind to the test split."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from categories import publish_job, save
from defectsynth_pipeline.appearance.batching import batched
from defectsynth_pipeline.appearance.engines import planned_mask
from defectsynth_pipeline.appearance.plan import (
    PASTE,
    TRANSFER,
    plan_synthesis,
    redrawer,
)
from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.motion import STAY, Motion
from defectsynth_pipeline.options import IngestOptions, PromptOptions, SynthesisOptions
from defectsynth_pipeline.rendering import ImageSetJob, Rendered
from refusals import refused
from small_models import SYNTHESIS, changed, engines_of, make_masks

from .test_placement import draw_part, place_of, spot

PROMPTS = PromptOptions()
COLUMNS = [
    *("image_id", "category", "defect_type", "engine", "mask", "background", "reference"),
    "others",
    *("severity", "blend", "prompt", "normal_prompt", "group", "batch", "seed"),
    *("placement", "angle", "dy", "dx", "centre_y", "centre_x", "scale"),
]
Plan = Callable[..., pd.DataFrame]


def plan(
    samples: pd.DataFrame, masks: ImageSet, options: SynthesisOptions = SYNTHESIS, **values
) -> pd.DataFrame:
    engines = engines_of(masks)
    return plan_synthesis(samples, masks, engines, changed(options, **values), PROMPTS)


@pytest.fixture(scope="module")
def planned(all_samples: pd.DataFrame, masks: ImageSet) -> Plan:
    """Of all samples and masks."""
    return functools.partial(plan, all_samples, masks)


def renamed(samples: pd.DataFrame, masks: ImageSet, names: dict) -> tuple[pd.DataFrame, ImageSet]:
    """The same data with other names of defect types or categories."""
    return samples.replace(names), ImageSet(masks.root, masks.manifest.replace(names))


@pytest.mark.parametrize(
    ("engine", "blends"),
    [
        ("transfer", {"hard", "feather"}),
        ("paste", {"feather", "membrane"}),
        ("diffusion", {"feather"}),
    ],
)
def test_blends_differ_between_images(
    all_samples: pd.DataFrame, masks: ImageSet, engine: str, blends: set[str]
) -> None:
    engines = engines_of(masks, engine)
    rows = plan_synthesis(all_samples, masks, engines, changed(SYNTHESIS, count=24), PROMPTS)
    assert set(rows["blend"]) == blends


@pytest.mark.parametrize("engine", ["transfer", "patch"])
def test_a_thin_defect_never_ends_hard(
    all_samples: pd.DataFrame, masks: ImageSet, engine: str
) -> None:
    engines = engines_of(masks, engine)
    rows = plan_synthesis(all_samples, masks, engines, changed(SYNTHESIS, count=24), PROMPTS)
    hard = rows.groupby("defect_type")["blend"].agg(lambda told: "hard" in set(told))
    assert hard["dent"]  # 10 px wide
    assert not hard["scratch"]  # 2 px


def test_columns_and_identity(planned: Plan) -> None:
    rows = planned()
    assert list(rows) == COLUMNS
    pd.testing.assert_frame_equal(rows, planned())
    assert rows["image_id"].is_unique
    assert rows["seed"].is_unique
    assert not rows.equals(planned(seed=1))


@pytest.mark.parametrize(("per", "count", "expected"), [("run", 10, 10), ("type", 10, 40)])
def test_counts_add_up(planned: Plan, per: str, count: int, expected: int) -> None:
    rows = planned(per=per, count=count)
    assert len(rows) == expected
    sizes = rows.groupby(["category", "defect_type"]).size()
    assert len(sizes) == 4
    assert sizes.max() - sizes.min() <= 1


def test_fewer_images_than_types(planned: Plan) -> None:
    assert len(planned(count=3)) == 3


def test_rows_come_from_their_own_category_and_never_from_test(
    planned: Plan, all_samples: pd.DataFrame, masks: ImageSet
) -> None:
    rows = planned(count=60)
    index = all_samples.set_index("sample_id")
    backgrounds, references = index.loc[rows["background"]], index.loc[rows["reference"]]
    assert set(backgrounds["split"]) == {"normal"}
    assert set(references["split"]) == {"base"}
    assert (backgrounds["category"].to_numpy() == rows["category"]).all()
    assert (references["category"].to_numpy() == rows["category"]).all()
    assert (references["defect_type"].to_numpy() == rows["defect_type"]).all()
    own = masks.manifest.set_index("image_id").loc[rows["mask"]]
    assert (own["defect_type"].to_numpy() == rows["defect_type"]).all()
    assert (own["category"].to_numpy() == rows["category"]).all()
    assert backgrounds.index.nunique() > 4
    without = all_samples[all_samples["split"] != "test"]
    pd.testing.assert_frame_equal(plan(without, masks, count=60), rows)


def test_more_images_leave_the_first_ones_as_they_are(
    planned: Plan, masks: ImageSet, all_samples: pd.DataFrame
) -> None:
    few, many = (planned(per="type", count=n) for n in (5, 11))
    both = many[many["image_id"].isin(few["image_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(both, few)
    # Nor do other types matter.
    manifest = masks.manifest
    one = ImageSet(masks.root, manifest[manifest["defect_type"] == "scratch"])
    alone = plan(all_samples, one, per="type", count=5)
    same = few[few["defect_type"] == "scratch"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, same)


def test_every_mask_is_used_before_one_comes_twice(planned: Plan) -> None:
    twice = planned(per="type", count=8)
    assert (twice["mask"].value_counts() == 2).all()
    half = planned(per="type", count=2)
    assert half["mask"].is_unique


def test_batches_are_whole_groups_in_order_and_no_larger_than_asked(planned: Plan) -> None:
    rows = planned(per="type", count=5, sff={"group": 2}, batch_size=5)
    assert (rows.groupby("group")["batch"].nunique() == 1).all()
    assert (rows.groupby("batch")[["category", "defect_type"]].nunique() == 1).all(axis=None)
    sizes = rows.groupby("batch").size()
    assert sizes.max() <= 5
    assert len(sizes) < rows["group"].nunique()
    again = batched(rows, 1)
    assert list(again) == list(rows)
    assert (again.groupby("batch")["group"].nunique() == 1).all()


def test_groups_hold_images_of_one_type(planned: Plan) -> None:
    rows = planned(per="type", count=5, sff={"group": 2})
    sizes = rows.groupby("group").size()
    assert sorted(sizes) == [1] * 4 + [2] * 8
    assert (rows.groupby("group")[["category", "defect_type"]].nunique() == 1).all(axis=None)


@pytest.mark.parametrize(
    "names",
    [
        {"dent": "a b", "scratch": "a_b"},  # the same once made safe
        {"dent": "ä", "scratch": "ö"},
        {"plate": "板", "x ray": "Größe №1", "dent": "裂纹", "scratch": "划痕"},
        {"plate": "..", "dent": "-", "scratch": "—"},
        {"plate": "007", "dent": "nan"},
    ],
)
def test_ids_are_safe_and_unique_whatever_the_names(
    all_samples: pd.DataFrame, masks: ImageSet, tmp_path: Path, names: dict[str, str]
) -> None:
    rows = plan(*renamed(all_samples, masks, names), count=20, sff={"group": 4})
    assert rows["image_id"].is_unique
    assert (rows.groupby("group")[["category", "defect_type"]].nunique() == 1).all(axis=None)
    pixel = np.ones((2, 2), dtype=bool)
    job = ImageSetJob(
        "f00d", rows, lambda missing: (Rendered(i, {"mask": pixel}) for i in missing["image_id"])
    )
    assert len(publish_job(job, tmp_path)) == 20


def test_a_reference_is_the_masks_nearer_parent(planned: Plan, masks: ImageSet) -> None:
    parents = masks.manifest.set_index("image_id")
    for row in planned(count=40).itertuples():
        first, last = parents.loc[row.mask, "parents"].split("|")
        assert row.reference == (last if parents.loc[row.mask, "alpha"] >= 0.5 else first)
        assert 0.8 <= row.severity <= 1.25


def test_engines_take_turns_by_their_shares(all_samples: pd.DataFrame, masks: ImageSet) -> None:
    engines = engines_of(masks, "transfer", "paste")
    engines["share"] = engines["engine"].map({"transfer": 0.25, "paste": 0.75})
    options = changed(SYNTHESIS, per="type", count=16, sff={"group": 2})
    rows = plan_synthesis(all_samples, masks, engines, options, PROMPTS)
    assert (rows.groupby("group")["engine"].nunique() == 1).all()
    counts = rows.groupby(["category", "defect_type"])["engine"].value_counts().unstack()
    assert (counts["paste"] == 12).all()
    assert (counts["transfer"] == 4).all()


def test_prompts_are_those_of_training(samples: pd.DataFrame, plates: ImageSet) -> None:
    rows = plan(samples, plates)
    assert set(rows["prompt"]) == {
        "a photo of a plate surface with dent",
        "a photo of a plate surface with scratch",
    }
    assert set(rows["normal_prompt"]) == {"a photo of a plate surface"}


def test_textures_keep_the_mask_where_it_was_made(planned: Plan) -> None:
    rows = planned(count=20)
    assert set(rows["placement"]) == {"as_is"}
    assert all(Motion.of(row) == STAY for _, row in rows.iterrows())


def test_a_category_without_normals_is_refused(samples: pd.DataFrame, plates: ImageSet) -> None:
    with refused("no defect-free images", "value: plate", remedy="train/good"):
        plan(samples[samples["split"] != "normal"], plates)


class TestParts:
    """A part photographed at several angles, its defect always on the same spot of it."""

    CENTRE = (96.0, 96.0)
    ANGLES = (0.0, 60.0, 135.0, 250.0)

    @pytest.fixture(scope="class")
    def parts(self, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
        folder = tmp_path_factory.mktemp("raw") / "bracket"

        def photograph(angle: float) -> np.ndarray:
            return (draw_part(angle, self.CENTRE) * 255).astype(np.uint8)

        for i, angle in enumerate(self.ANGLES):
            save(folder / "train" / "good" / f"{i}.png", photograph(angle))
        for i, angle in enumerate((0.0, 20.0, 45.0)):
            mask, image = spot(place_of(angle, self.CENTRE)), photograph(angle + 1e-3)
            image[mask] = 60
            save(folder / "test" / "hole" / f"{i}.png", image)
            save(folder / "ground_truth" / "hole" / f"{i}_mask.png", mask)
        return make_samples(folder, IngestOptions(base_share=1.0))

    def test_masks_land_on_the_spot_of_every_background(
        self, parts: pd.DataFrame, tmp_path: Path
    ) -> None:
        made = [spot(place_of(20.0, self.CENTRE) + np.array([0, 3]), radius=4)]
        masks = make_masks(tmp_path, parts, {"hole": made})
        rows = plan(parts, masks, count=8)
        assert (rows["placement"] == "part").all()
        assert rows["background"].nunique() > 1
        for _, row in rows.iterrows():
            angle = self.ANGLES[int(row["background"].rsplit("-", 1)[1])]
            placed = Motion.of(row).warp(made[0])
            goal = place_of(angle, self.CENTRE)
            assert np.linalg.norm(np.argwhere(placed).mean(0) - goal) < 6

    def test_as_is_leaves_masks_alone(self, parts: pd.DataFrame, tmp_path: Path) -> None:
        masks = make_masks(tmp_path, parts, {"hole": [spot(np.array([50.0, 50.0]))]})
        rows = plan(parts, masks, count=4, placement="as_is")
        assert set(rows["placement"]) == {"as_is"}
        assert (rows[["angle", "dy", "dx"]] == 0).all(axis=None)


def parts_with_zone(root: Path, zone: np.ndarray) -> pd.DataFrame:
    """Ls at all places, their defect on one spot of them, and where it may not be put."""
    rng = np.random.default_rng(5)
    for folder, count in (("train/good", 4), ("test/dent", 3)):
        for index in range(count):
            angle, centre = rng.uniform(0, 360), tuple(rng.uniform(75, 115, 2))
            image = draw_part(angle, centre)
            if folder == "test/dent":
                mask = spot(place_of(angle, centre))
                image[mask] = 0.4
                save(root / "l" / "ground_truth" / "dent" / f"{index}_mask.png", mask)
            save(root / "l" / folder / f"{index}.png", (image * 255).astype(np.uint8))
    save(root / "zones" / "l_forbidden.png", zone)
    return make_samples(root, IngestOptions(base_share=1.0))


def made_of_their_own(samples: pd.DataFrame, folder: Path) -> ImageSet:
    """The base masks, as if they had been generated."""
    base = samples[samples["split"] == "base"]
    return make_masks(folder, samples, {"dent": [one.mask() for one in each_sample(base)]})


@pytest.mark.parametrize("placement", ["part", "as_is"])
@pytest.mark.parametrize("engine", [TRANSFER, PASTE])
def test_no_mask_lies_in_a_forbidden_zone(tmp_path: Path, placement: str, engine: str) -> None:
    zone = np.zeros((192, 192), dtype=bool)
    zone[:100] = True
    samples = parts_with_zone(tmp_path / "parts", zone)
    masks = made_of_their_own(samples, tmp_path / "masks")
    real = {sample.sample_id: sample.mask() for sample in each_sample(samples)}
    options = changed(SYNTHESIS, placement=placement, count=5)
    rows = plan_synthesis(samples, masks, engines_of(masks, engine), options, PROMPTS)
    redraw = redrawer(samples, masks, placement)
    shares = []
    for row in rows.itertuples():
        for attempt in range(2):
            told = row._asdict() | redraw(row, attempt)
            placed = planned_mask(told, masks, real[told["reference"]], zone.shape)
            assert not (placed & zone).any(), told
            shares.append(placed.sum() / real[told["reference"]].sum())
    assert np.mean(shares) > 0.9  # shifted, not cut off


def test_masks_that_fit_nowhere(tmp_path: Path) -> None:
    zone = np.zeros((192, 192), dtype=bool)
    zone[:20] = True
    samples = parts_with_zone(tmp_path / "parts", zone)
    masks = made_of_their_own(samples, tmp_path / "masks")
    zone[6:] = True  # painted anew since
    zone[:6] = False
    save(tmp_path / "parts" / "zones" / "l_forbidden.png", zone)
    with refused("no mask of a type fits", "zones", "l/dent", remedy="widen the zones"):
        plan(samples, masks)


def test_patches_are_of_defects_that_the_frame_cuts_alike(tmp_path: Path) -> None:
    """Two tiles broken at their top, two at their left, and one crack that runs out at both."""
    rows, columns = np.indices((48, 64))
    shapes = {
        "top": [rows < 12, rows < 16],
        "left": [columns < 14, columns < 18],
        "inner": [(abs(rows - 20) < 3) & (columns < 3) | (abs(columns - 20) < 3) & (rows < 30)],
    }
    image = np.full((48, 64, 3), 128, np.uint8)
    for number in range(4):
        save(tmp_path / "tile" / "train" / "good" / f"{number}.png", image + number)
    names = [f"{side}{number}" for side, masks in shapes.items() for number in range(len(masks))]
    for name, mask in zip(names, [m for masks in shapes.values() for m in masks], strict=True):
        lightness = np.uint8(len(name) * 9 + ord(name[-1]) + int(mask.sum()) % 50)
        save(tmp_path / "tile" / "test" / "break" / f"{name}.png", image - lightness)
        save(tmp_path / "tile" / "ground_truth" / "break" / f"{name}_mask.png", mask)
    samples = make_samples(tmp_path, IngestOptions(base_share=1.0))
    masks = make_masks(tmp_path / "masks", samples, {"break": shapes["left"]})
    options = changed(SYNTHESIS, count=40)
    planned = plan_synthesis(samples, masks, engines_of(masks, "patch"), options, PROMPTS)
    sides = planned[["reference", "others"]].map(lambda name: name.split("/")[-1].rstrip("01"))
    assert set(sides["others"]) >= {"top", "left", "inner"}
    assert not {("top", "left"), ("left", "top")} & set(sides.itertuples(index=False, name=None))
