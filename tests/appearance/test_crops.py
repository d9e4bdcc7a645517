"""Which images are cut, how, and what goes into the autoencoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from defectsynth_pipeline.appearance.crops import (
    Crops,
    framing_sizes,
    held_out_ids,
    make_crops,
)
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import FramingOptions, PromptOptions
from small_models import FRAMING, TRAINING, changed

PROMPTS = PromptOptions()


def test_one_row_per_crop_and_as_many_normals_as_defects(crops: Crops) -> None:
    table = crops.table
    assert list(table) == ["sample_id", "prompt", "defect_type", "normal", "held_out"]
    assert table["normal"].sum() == (~table["normal"]).sum() == 6 * TRAINING.crops_per_sample
    assert crops.latents.shape == (len(table), 8, 8, 8)
    assert crops.masks.shape == (len(table), 1, 32, 32)
    assert crops.masks.dtype == torch.uint8
    assert crops.text.shape == (3, 77, 32)
    assert set(table["defect_type"]) == {"plate/dent", "plate/scratch", "plate/good"}


def test_defects_show_in_their_masks_and_normals_have_none(crops: Crops) -> None:
    normal = crops.table["normal"].to_numpy()
    largest = crops.masks.flatten(1).amax(1).numpy()
    assert (largest[~normal] > 100).all()
    assert (largest[normal] == 0).all()


def test_only_base_and_normal_rows_are_read(
    samples: pd.DataFrame, small: BaseModel, crops: Crops, tmp_path: Path
) -> None:
    """Test images that do not even exist change nothing."""
    hidden = samples.copy()
    test = hidden["split"] == "test"
    assert test.sum() == 7
    hidden.loc[test, ["root", "image", "mask"]] = [str(tmp_path), "gone.png", "gone_mask.png"]
    again = make_crops(hidden, small, TRAINING, FRAMING, PROMPTS)
    assert torch.equal(again.latents, crops.latents)
    pd.testing.assert_frame_equal(again.table, crops.table)
    assert not set(crops.table["sample_id"]) & set(samples[test]["sample_id"])


@pytest.mark.parametrize("mode", ["roi", "full"])
def test_the_autoencoder_sees_images_between_minus_one_and_one(
    samples: pd.DataFrame, small: BaseModel, seen: list[torch.Tensor], mode: str
) -> None:
    make_crops(samples, small, TRAINING, FramingOptions(mode=mode), PROMPTS)
    images = torch.cat(seen)
    assert images.shape[1:] == (3, 32, 32)
    assert -1 <= images.min() < -0.5
    assert 0.1 < images.max() <= 1


def test_sixteen_bit_grey_is_cut_too(all_samples: pd.DataFrame, small: BaseModel, seen) -> None:
    grey = all_samples[all_samples["category"] == "x ray"]
    crops = make_crops(grey, small, TRAINING, FRAMING, PROMPTS)
    assert len(crops.table) == 24
    images = torch.cat(seen)
    assert -1 <= images.min() < images.max() <= 1
    assert torch.equal(images[:, 0], images[:, 2])


def test_held_out_samples_never_leave_fewer_than_two(samples: pd.DataFrame) -> None:
    base = samples[samples["split"] == "base"]
    held = held_out_ids(base, TRAINING)
    assert held == {base[base["defect_type"] == t]["sample_id"].max() for t in ("dent", "scratch")}
    assert len(held_out_ids(base, changed(TRAINING, held_out=9))) == 2
    assert held_out_ids(base.groupby("defect_type").head(2), TRAINING) == set()
    assert held_out_ids(base, changed(TRAINING, held_out=0)) == set()


def test_the_seed_decides_and_other_types_do_not_matter(
    samples: pd.DataFrame, small: BaseModel, crops: Crops
) -> None:
    again = make_crops(samples, small, TRAINING, FRAMING, PROMPTS)
    assert torch.equal(again.latents, crops.latents)
    fewer = samples[samples["defect_type"] != "dent"]
    alone = make_crops(fewer, small, TRAINING, FRAMING, PROMPTS)
    scratches, of_alone = (
        each.masks[np.flatnonzero(each.table["defect_type"] == "plate/scratch")]
        for each in (crops, alone)
    )
    assert torch.equal(scratches, of_alone)
    other = make_crops(samples, small, changed(TRAINING, seed=1), FRAMING, PROMPTS)
    assert not torch.equal(other.latents, crops.latents)


def test_flips_can_be_switched_off(samples: pd.DataFrame, small: BaseModel) -> None:
    full = FramingOptions(mode="full")
    many = changed(TRAINING, crops_per_sample=8, flip=False)
    still = make_crops(samples, small, many, full, PROMPTS)
    flipped = make_crops(samples, small, changed(many, flip=True), full, PROMPTS)
    first = np.flatnonzero(still.table["sample_id"] == still.table["sample_id"][0])
    assert len(still.masks[first].unique(dim=0)) == 1
    assert len(flipped.masks[first].unique(dim=0)) == 4


def test_sizes_come_from_the_model_unless_told(small: BaseModel) -> None:
    assert framing_sizes(small, FramingOptions()) == (32, 32)
    assert framing_sizes(small, FramingOptions(resolution=64)) == (64, 64)
    assert framing_sizes(small, FramingOptions(resolution=64, minimum=48)) == (64, 48)


def test_a_batch_has_masks_as_shares_and_the_text_of_each_crop(crops: Crops) -> None:
    rows = np.array([0, len(crops.table) - 1])
    latents, masks, text = crops.batch(rows)
    assert torch.equal(latents, crops.latents[rows])
    assert masks.dtype == torch.float32
    assert 0 <= masks.min() <= masks.max() <= 1
    assert not torch.equal(text[0], text[1])


def test_a_category_without_normals_is_refused(samples: pd.DataFrame, small: BaseModel) -> None:
    with pytest.raises(InputError, match=r"no defect-free images[\s\S]*plate[\s\S]*train/good"):
        make_crops(samples[samples["split"] != "normal"], small, TRAINING, FRAMING, PROMPTS)
