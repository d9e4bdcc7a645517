"""Places on a texture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from categories import save
from defectsynth_pipeline.appearance.placement import place_defect, show_parts
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.imaging.motion import landed_mask


def sample_of(root: Path, name: str, image: np.ndarray, mask: np.ndarray | None = None) -> Sample:
    save(root / f"{name}.png", image)
    if mask is not None:
        save(root / f"{name}_mask.png", mask)
    height, width = image.shape[:2]
    row = dict.fromkeys(("corpus", "category", "defect_type", "derivation", "mask_of"), "")
    row |= dict.fromkeys(("sample_id", "sha256", "group", "split"), name)
    stem = f"{name}_mask.png" if mask is not None else ""
    files = {"root": str(root), "image": f"{name}.png", "mask": stem}
    return Sample.of(row | files | {"x": 0, "y": 0, "width": width, "height": height})


def noise(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 120, shape, dtype=np.uint8)


def landed(mask: np.ndarray, donor: Sample, background: Sample, seed: int) -> np.ndarray:
    _, motion = place_defect(donor, [background], np.random.default_rng(seed))
    return landed_mask(mask, motion, background.shape)


def test_a_defect_that_leaves_its_image_leaves_the_new_one_at_that_side(tmp_path: Path) -> None:
    mask = np.zeros((60, 80), dtype=bool)
    mask[0:30, 40:43] = True
    donor = sample_of(tmp_path, "donor", noise((60, 80)), mask)
    background = sample_of(tmp_path, "background", noise((60, 80), 1))
    columns = set()
    for seed in range(5):
        placed = landed(mask, donor, background, seed)
        assert placed.sum() == mask.sum()
        assert placed[0].any()
        columns.add(int(np.argwhere(placed)[:, 1].min()))
    assert len(columns) > 2


@pytest.mark.parametrize("shape", [(40, 50), (60, 80), (100, 120)])
def test_images_of_other_sizes(tmp_path: Path, shape: tuple[int, int]) -> None:
    """What fits keeps its native size; what does not is made to fit."""
    mask = np.zeros((60, 80), dtype=bool)
    mask[5:55, 20:24] = True
    donor = sample_of(tmp_path, "donor", noise((60, 80)), mask)
    background = sample_of(tmp_path, "background", noise(shape, 1))
    placed = landed(mask, donor, background, 0)
    rows = np.nonzero(placed.any(1))[0]
    assert rows[-1] - rows[0] + 1 == min(50, shape[0])


def test_a_place_is_chosen_by_its_surroundings(tmp_path: Path) -> None:
    """The defect lies on a dark band, which crosses the background lower down."""
    mask = np.zeros((96, 96), dtype=bool)
    mask[20:28, 40:48] = True
    images = [noise((96, 96), seed) for seed in range(2)]
    images[0][6:44] //= 2
    images[1][50:90] //= 2
    donor = sample_of(tmp_path, "donor", images[0], mask)
    background = sample_of(tmp_path, "background", images[1])
    rows = [np.argwhere(landed(mask, donor, background, s)).mean(0)[0] for s in range(20)]
    assert np.mean([50 <= row < 90 for row in rows]) >= 0.9


def test_a_defect_is_not_taken_for_a_part(tmp_path: Path) -> None:
    """A large dark defect on an even texture stands out as a part would; normals tell."""
    mask = np.zeros((96, 96), dtype=bool)
    mask[36:60, 36:60] = True
    image = noise((96, 96))
    image[mask] = 20
    donor = sample_of(tmp_path, "donor", image, mask)
    assert show_parts([donor])
    background = sample_of(tmp_path, "background", noise((96, 96), 1))
    assert not show_parts([background])
    middles = {tuple(np.argwhere(landed(mask, donor, background, s)).mean(0)) for s in range(6)}
    assert len(middles) > 3
