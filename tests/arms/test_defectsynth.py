"""The arms that take their rows from the augment run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from categories import publish_job
from defectsynth_pipeline.appearance.engines import Judged, Made
from defectsynth_pipeline.appearance.plan import plan_synthesis
from defectsynth_pipeline.appearance.render import region_maker, render_plan
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.registry import ARMS
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ArmOptions, FramingOptions, PromptOptions
from defectsynth_pipeline.rendering import ImageSetJob, Rendered
from small_models import SYNTHESIS, changed, engines_of

TYPES = ["dent", "scratch"]


def test_rejected_images_are_taken_only_when_asked_for(bank: Bank) -> None:
    recipes = ARMS["defectsynth"].plan(bank, "plate", TYPES, 6, 0)
    assert {recipe["verdict"] for recipe in recipes} == {"accepted"}
    assert len({recipe["source"] for recipe in recipes}) == 6
    every = replace(bank, options=ArmOptions(accepted_only=False))
    recipes = ARMS["defectsynth"].plan(every, "plate", TYPES, 8, 0)
    assert sorted(recipe["verdict"] for recipe in recipes) == ["accepted"] * 6 + ["rejected"] * 2


def test_sources_are_background_reference_and_parents(bank: Bank) -> None:
    table = bank.synthetic.manifest.set_index("image_id")
    for recipe in ARMS["defectsynth"].plan(bank, "plate", TYPES, 6, 0):
        row = table.loc[recipe["source"]]
        masks = bank.masks.manifest.set_index("image_id")
        parents = masks.loc[row["mask"], "parents"].split("|")
        assert set(recipe["sources"]) == {row["background"], row["reference"], *parents}


def test_images_are_the_sets_own(bank: Bank) -> None:
    recipe = ARMS["defectsynth"].plan(bank, "plate", TYPES, 1, 0)[0]
    made = ARMS["defectsynth"].make(bank, recipe)
    assert (made.image == bank.synthetic.array(recipe["source"], "image")).all()
    assert (made.mask == bank.synthetic.array(recipe["source"], "mask")).all()


def test_too_few_images_are_repeated_with_a_warning(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        recipes = ARMS["defectsynth"].plan(bank, "plate", TYPES, 14, 0)
    assert len(recipes) == 14
    assert "6 synthetic images stand in for 14 rows" in caplog.text


def test_a_type_of_which_all_was_rejected_gives_up_its_turn(bank: Bank) -> None:
    manifest = bank.synthetic.manifest
    none = replace(bank, synthetic=ImageSet(bank.synthetic.root, manifest.iloc[:0]))
    with pytest.raises(InputError, match="accepted_only: false"):
        ARMS["defectsynth"].plan(none, "plate", TYPES, 4, 0)


def test_a_type_without_images_gives_up_its_turn(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        recipes = ARMS["defectsynth"].plan(bank, "plate", [*TYPES, "hole"], 4, 0)
    assert [recipe["defect_type"] for recipe in recipes] == ["dent", "scratch"] * 2
    assert "plate: no synthetic images of hole" in caplog.text


def test_a_category_without_images(bank: Bank) -> None:
    with pytest.raises(InputError, match="no synthetic images of this category"):
        ARMS["defectsynth"].plan(bank, "bracket", ["spot"], 2, 0)


def test_exemplar_and_defectsynth_share_their_rows(bank: Bank) -> None:
    made, moved = (ARMS[n].plan(bank, "plate", TYPES, 6, 2) for n in ("defectsynth", "exemplar"))
    assert [recipe["source"] for recipe in made] == [recipe["source"] for recipe in moved]


@pytest.mark.parametrize("category", ["plate", "x ray"])
def test_an_exemplar_carries_the_real_defect_to_the_new_mask(bank: Bank, category: str) -> None:
    arm = ARMS["exemplar"]
    for recipe in arm.plan(bank, category, TYPES, 4, 0):
        made = arm.make(bank, recipe)
        normal = bank.example(recipe["background"]).image.astype(float)
        darker = made.image[made.mask].mean() / normal[made.mask].mean()
        assert darker < 0.75  # the real ones are a third as bright; thin strokes are diluted
        assert (made.image != normal).reshape(*made.mask.shape, -1).any(-1).mean() < 0.25
        assert np.median(made.image) == pytest.approx(np.median(normal), rel=0.05)


@pytest.mark.parametrize("framing", ["roi", "full"])
def test_an_exemplar_starts_where_the_renderer_does_whatever_the_base_models_resolution(
    all_samples: pd.DataFrame, masks: ImageSet, small: BaseModel, tmp_path: Path, framing: str
) -> None:
    """The model works at 32 px: masks aligned on another grid end elsewhere."""
    options, window = changed(SYNTHESIS, sae={"angles": 72}), FramingOptions(mode=framing)
    engines = engines_of(masks, "transfer", "paste")
    plan = plan_synthesis(all_samples, masks, engines, options, PromptOptions())
    plan = plan[plan["category"] == "plate"]

    def accept(made: Made) -> Judged:
        return Judged(True, made.mask, {"verdict": "accepted"})

    def render(missing: pd.DataFrame) -> Iterator[Rendered]:
        given = {"samples": all_samples, "masks": masks, "base": small, "options": options}
        return render_plan(missing, plan, **given, framing=window, judge=accept)

    images = publish_job(ImageSetJob("f00d", plan, render), tmp_path)
    given = Bank(all_samples, images, masks, synthesis=options, framing=window)
    start_of = region_maker(all_samples, masks, small, options, window)
    rows = {row.image_id: row for row in plan.itertuples(index=False)}
    for recipe in ARMS["exemplar"].plan(given, "plate", TYPES, len(plan), 0):
        region, made = start_of(rows[recipe["source"]]), ARMS["exemplar"].make(given, recipe)
        assert (made.image == region.begun).all()
        assert (made.mask == region.mask).all()
