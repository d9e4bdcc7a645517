"""Rows share masks, plan, seeds and the network; a killed row goes on where it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from defectsynth_pipeline import rendering
from defectsynth_pipeline.ablation.rating import pixels_changed
from defectsynth_pipeline.ablation.rows import Recipe, plan_rows
from defectsynth_pipeline.options import (
    AblationOptions,
    ExecutionOptions,
    IngestOptions,
    MaskOptions,
    PromptOptions,
)
from defectsynth_pipeline.pipelines.ablation.making import Workshop
from small_models import FRAMING, SYNTHESIS, TRAINING, changed

RECIPE = Recipe(
    IngestOptions(),
    MaskOptions(max_side=64, frames_per_pair=3, tau=0.9),
    FRAMING,
    PromptOptions(),
    TRAINING,
    changed(SYNTHESIS, nulls=24),
)
OPTIONS = AblationOptions(count=3, rows=["all", "without_sff", "masks_image", "masks_perlin"])
DRAWN = ["planned", "mask", "background", "reference", "seed", "severity", "angle", "dy", "dx"]


def workshop(base, folder: Path) -> Workshop:
    for name in ("checkpoints", "work"):
        (folder / name).mkdir(exist_ok=True)
    return Workshop(
        base, folder / "checkpoints", folder / "work", RECIPE, ExecutionOptions(workers=1)
    )


@pytest.fixture(scope="module")
def made(small, samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    shop = workshop(small, folder)
    return folder, {r.name: shop.row(samples, r) for r in plan_rows(OPTIONS, RECIPE)}


def planned(made) -> object:
    return made.images.manifest.sort_values("planned").reset_index(drop=True)


def test_what_rows_can_share_is_made_once(made):
    folder, rows = made
    assert len(list((folder / "checkpoints").glob("*.pt"))) == 1
    assert len(list((folder / "work" / "certificates").iterdir())) == 1
    assert rows["masks_image"].images.root == rows["all"].images.root  # hybrid is image here
    assert rows["without_sff"].masks.root == rows["all"].masks.root
    assert planned(rows["without_sff"])[DRAWN].equals(planned(rows["all"])[DRAWN])


def test_other_masks_keep_their_seeds_and_every_row_has_every_image(made):
    _, rows = made
    whole, perlin = planned(rows["all"]), planned(rows["masks_perlin"])
    assert list(perlin["planned"]) == list(whole["planned"])
    assert len(whole) == 6  # three of each of two types, refused ones too
    assert rows["masks_perlin"].masks.root != rows["all"].masks.root
    assert list(perlin["seed"]) == list(whole["seed"])


def test_the_change_of_a_pixel_is_told_where_masks_are_the_same(made):
    _, rows = made
    kind = tuple(planned(rows["all"]).loc[0, ["category", "defect_type"]])
    assert pixels_changed(rows["all"].images, rows["all"].images, kind) == 0
    assert pixels_changed(rows["without_sff"].images, rows["all"].images, kind) > 0
    assert np.isnan(pixels_changed(rows["masks_perlin"].images, rows["all"].images, kind))


def test_a_killed_row_goes_on_where_it_was(made, small, samples, tmp_path, monkeypatch, caplog):
    whole, row = plan_rows(AblationOptions(count=3, rows=["without_sae"]), RECIPE)
    shutil.copytree(made[0], tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "work" / "images")
    shop = workshop(small, tmp_path / "copy")
    first = shop.row(samples, whole)
    write, written = rendering.write_files, []

    def killed(work, files):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(files)
        write(work, files)

    monkeypatch.setattr(rendering, "write_files", killed)
    with pytest.raises(KeyboardInterrupt):
        shop.row(samples, row)
    monkeypatch.undo()
    records = (shop.folder / "images").glob("*/records/*.json")
    there = {path: path.stat().st_mtime_ns for path in records}
    assert len(there) == 6 + 2
    caplog.set_level("INFO")
    again = workshop(small, tmp_path / "copy").row(samples, row)
    assert "resuming: 2 of 6 images are there" in caplog.messages
    assert not [m for m in caplog.messages if m.startswith("certificate of")]
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert len(again.images.manifest) == 6
    assert pixels_changed(made[1]["all"].images, first.images, ("plate", "dent")) == 0
