from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from categories import save
from defectsynth_pipeline.corpora.deepcrack import make_deepcrack_samples
from defectsynth_pipeline.corpora.inpainting import remove_defect
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions

from .builders import texture


def test_each_cracked_image_has_a_counterpart_on_its_side(cracks: Path) -> None:
    samples = make_samples(cracks, IngestOptions())
    cracked = samples[samples["defect_type"] == "crack"].set_index("image")
    good = samples[samples["defect_type"] == "good"].set_index("image")

    assert len(cracked) == len(good) == 9
    assert (good["derivation"] == "crack_removed").all()
    assert (good["mask"] == "").all()
    assert (good["mask_of"] == cracked["mask"].reindex(good.index)).all()
    expected = cracked["split"].map({"base": "normal", "test": "test"})
    assert (good["split"] == expected.reindex(good.index)).all()
    assert samples["sha256"].is_unique


def test_crops_of_one_photograph_stay_together(cracks: Path) -> None:
    samples = make_deepcrack_samples(cracks)

    names = samples.groupby("group")["image"].apply(lambda s: sorted({Path(p).stem for p in s}))
    assert ["11-1", "11-10", "11-2"] in names.tolist()
    assert ["12-1", "12-2"] in names.tolist()
    assert samples["group"].nunique() == 6
    for partition in range(3):
        split = make_samples(cracks, IngestOptions(partition=partition))
        assert all(
            len({s == "test" for s in rows}) == 1 for _, rows in split.groupby("group").split
        )


def test_masks_are_thresholded_above_127(cracks: Path) -> None:
    samples = make_deepcrack_samples(cracks)
    row = samples[samples["image"] == "train_img/11-1.jpg"].iloc[0]

    assert np.flatnonzero(Sample.of(row).mask()[0]).tolist() == [20, 21]


def test_the_crack_is_gone_and_the_rest_untouched(cracks: Path) -> None:
    samples = make_deepcrack_samples(cracks)
    rows = samples[samples["image"] == "train_img/IMG_7.jpg"]
    cracked, good = (rows[rows["defect_type"] == kind].iloc[0] for kind in ("crack", "good"))
    before, after = Sample.of(cracked).image(), Sample.of(good).image()
    mask = Sample.of(cracked).mask()
    near = ndimage.binary_dilation(mask, iterations=4)

    assert before[mask].mean() < 30
    assert abs(after[mask].mean() - before[~near].mean()) < 12
    far = ~ndimage.binary_dilation(mask, iterations=9)
    np.testing.assert_array_equal(after[far], before[far])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_removal_keeps_the_grain_and_follows_the_brightness(dtype: type) -> None:
    rng = np.random.default_rng(3)
    top = np.iinfo(dtype).max
    ramp = np.linspace(0.3, 0.7, 160)[None] * np.ones((120, 1))
    image = ((ramp + rng.normal(0, 0.04, ramp.shape)) * top).astype(dtype)
    mask = np.zeros(image.shape, bool)
    for x in range(160):
        mask[50 + x // 8 : 53 + x // 8, x] = True
    image[mask] = 0

    filled = remove_defect(image, mask)

    assert filled.dtype == dtype
    assert filled.shape == image.shape
    residual = filled / top - ramp
    assert abs(residual[mask].mean()) < 0.02
    assert 0.03 < residual[mask].std() < 0.05
    np.testing.assert_array_equal(filled, remove_defect(image, mask))


def test_removal_of_a_crack_that_leaves_no_intact_patch() -> None:
    image = texture(0, shape=(40, 40))
    mask = np.zeros((40, 40), bool)
    mask[::8] = True

    filled = remove_defect(image, mask)

    assert np.isfinite(filled).all()
    assert abs(filled[mask].mean() - 130) < 40


LARGE = np.zeros((64, 96), np.uint8)
LARGE[:40, :40] = 255


def test_large_cracks_get_no_counterpart(cracks: Path) -> None:
    save(cracks / "train_lab" / "IMG_7.png", LARGE)

    samples = make_deepcrack_samples(cracks)

    of_image = samples[samples["image"] == "train_img/IMG_7.jpg"]
    assert of_image["defect_type"].tolist() == ["crack"]


def test_only_large_cracks_leave_no_normal_image(cracks: Path) -> None:
    for path in cracks.glob("*_lab/*.png"):
        save(path, LARGE)

    with pytest.raises(InputError, match=r"no normal images(.|\n)*26.0%(.|\n)*remedy: add"):
        make_deepcrack_samples(cracks)


def test_unpaired_files(cracks: Path) -> None:
    (cracks / "train_lab" / "11-2.png").unlink()
    with pytest.raises(InputError, match=r"no mask(.|\n)*11-2.jpg(.|\n)*remedy"):
        make_deepcrack_samples(cracks)
    (cracks / "train_img" / "11-2.jpg").unlink()
    (cracks / "test_img" / "wall.jpg").unlink()
    with pytest.raises(InputError, match=r"no image(.|\n)*wall.png(.|\n)*remedy"):
        make_deepcrack_samples(cracks)
