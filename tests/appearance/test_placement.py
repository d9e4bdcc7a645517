"""A mask follows the part it was made on, wherever it lies and is turned; places on a texture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from categories import sample_row, save
from defectsynth_pipeline.appearance.placement import (
    GRID,
    _settled,
    choose_on_part,
    lay_over,
    mask_on_part,
    part_map,
    paste_on_part,
    place_defect,
    share_on_part,
    show_parts,
    tried,
)
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.imaging.motion import STAY, Motion, landed_mask

SIDE = 192
SPOT = (40.0, 8.0)  # on the part, (y, x) from the part's origin


def turned(angle: float) -> np.ndarray:
    """What turns (y, x) by an angle, clockwise as seen on screen."""
    radians = np.deg2rad(angle)
    cos, sin = np.cos(radians), np.sin(radians)
    return np.array([[cos, sin], [-sin, cos]])


def draw_part(angle: float, centre: tuple[float, float], side: int = SIDE) -> np.ndarray:
    """A bright L on dark ground: a long bar along y and a short foot along x."""
    rows, columns = np.indices((side, side), dtype=float)
    points = np.stack([rows - centre[0], columns - centre[1]], -1) @ turned(angle)
    y, x = points[..., 0], points[..., 1]
    bar = (np.abs(y) < 55) & (np.abs(x) < 11)
    foot = (y > 33) & (y < 55) & (x > 0) & (x < 45)
    image = np.full((side, side, 3), 0.1)
    image[bar | foot] = 0.8
    image += np.random.default_rng(0).normal(0, 0.01, image.shape)
    return image.clip(0, 1).astype(np.float32)


def place_of(angle: float, centre: tuple[float, float]) -> np.ndarray:
    return turned(angle) @ np.array(SPOT) + centre


def spot(at: np.ndarray, radius: float = 5.0, side: int = SIDE) -> np.ndarray:
    rows, columns = np.indices((side, side))
    return np.hypot(rows - at[0], columns - at[1]) <= radius


def middle(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(0)


@pytest.mark.parametrize("angle", [0.0, 25.0, 90.0, 200.0, 317.0])
def test_the_mask_lies_on_the_same_spot_of_a_turned_part(angle: float) -> None:
    here, there = (90.0, 80.0), (100.0, 104.0)
    parent, background = draw_part(0, here), draw_part(angle, there)
    mask = spot(place_of(0, here))
    over = lay_over(part_map(parent), part_map(background)).scaled(SIDE / GRID)
    placement = mask_on_part(mask, mask, over)
    placed = placement.warp(mask)
    assert np.linalg.norm(middle(placed) - place_of(angle, there)) < 5
    assert placed.sum() == pytest.approx(mask.sum(), rel=0.15)
    assert share_on_part(placed, part_map(background)) > 0.9


def test_a_generated_mask_goes_where_its_parents_defect_is() -> None:
    """The mask itself may lie anywhere; the real defect says where on the part it belongs."""
    here, there, angle = (90.0, 80.0), (100.0, 104.0), 90.0
    parts = part_map(draw_part(0, here)), part_map(draw_part(angle, there))
    over = lay_over(*parts).scaled(SIDE / GRID)
    generated = spot(np.array([20.0, 150.0]))
    placed = mask_on_part(generated, spot(place_of(0, here)), over).warp(generated)
    assert np.linalg.norm(middle(placed) - place_of(angle, there)) < 5


def test_oblong_images_keep_their_scale() -> None:
    here = (90.0, 80.0)
    parent, background = draw_part(0, here)[:160], draw_part(40, here)[:160]
    mask = spot(place_of(0, here))[:160]
    over = lay_over(part_map(parent), part_map(background)).scaled(SIDE / GRID)
    placed = mask_on_part(mask, mask, over).warp(mask)
    assert np.linalg.norm(middle(placed) - place_of(40, here)) < 5


def test_the_ground_is_told_from_the_part() -> None:
    part = part_map(draw_part(30, (96.0, 96.0)))
    assert part is not None
    assert part.shape == (GRID, GRID)
    assert 0 <= part.min() < part.max() <= 1
    assert part[GRID // 2, GRID // 2] > 0.8
    assert part[:6].max() < 0.1


@pytest.mark.parametrize("kind", ["noise", "even", "all part"])
def test_textures_have_no_part(kind: str) -> None:
    rng = np.random.default_rng(0)
    image = np.full((80, 100, 3), 0.5, dtype=np.float32)
    if kind == "noise":
        image = rng.random((80, 100, 3), dtype=np.float32)
    if kind == "all part":
        image[2:-2, 2:-2] = 0.9
    assert part_map(image) is None


def test_share_on_part() -> None:
    part = np.zeros((GRID, GRID))
    part[:, : GRID // 2] = 1
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    assert share_on_part(mask, part) == 0
    mask[10:20, 10:20] = True
    assert share_on_part(mask, part) == 1
    mask[10:20, 150:160] = True
    assert share_on_part(mask, part) == 0.5


def sample_of(root: Path, name: str, image: np.ndarray, mask: np.ndarray | None = None) -> Sample:
    files = {} if mask is None else {"mask": save(root / f"{name}_mask.png", mask).name}
    return Sample.of(sample_row(root / f"{name}.png", image, **files))


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


@pytest.mark.parametrize("shape", [(60, 80), (50, 60), (90, 160)])
def test_a_defect_that_spans_its_image_spans_the_new_one(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    mask = np.zeros((60, 80), dtype=bool)
    mask[:12] = True
    donor = sample_of(tmp_path, "donor", noise((60, 80)), mask)
    background = sample_of(tmp_path, "background", noise(shape, 1))
    placed = landed(mask, donor, background, 0)
    assert placed[0].all()
    assert placed[: round(11 * shape[1] / 80)].all()
    assert not placed[round(13 * shape[1] / 80) :].any()


def test_a_defect_goes_where_it_need_not_be_scaled(tmp_path: Path) -> None:
    mask = np.zeros((60, 80), dtype=bool)
    mask[:12] = True
    donor = sample_of(tmp_path, "donor", noise((60, 80)), mask)
    shapes = [(60, 160), (40, 40), (70, 84), (90, 120)]
    others = [sample_of(tmp_path, f"{n}", noise(shape, n)) for n, shape in enumerate(shapes)]
    for seed in range(6):
        tried_in_turn = tried(len(others), np.random.default_rng(seed))
        number, motion = place_defect(donor, others, np.random.default_rng(seed))
        scales = {n: others[n].shape[1] / 80 for n in tried_in_turn}
        assert motion.scale == scales[number]
        assert abs(np.log(motion.scale)) == min(abs(np.log([*scales.values()])))


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


def photograph(angle: float) -> np.ndarray:
    return np.rint(draw_part(angle, (96.0, 96.0)) * 255).astype(np.uint8)


def test_parts_that_lie_alike_are_preferred(tmp_path: Path) -> None:
    """The light does not turn with the part."""
    mask = spot(place_of(30.0, (96.0, 96.0)))
    donor = sample_of(tmp_path, "donor", photograph(30.0), mask)
    angles = (200.0, 115.0, 45.0, 280.0)
    parts = [sample_of(tmp_path, f"good{a:.0f}", photograph(a)) for a in angles]
    chosen = choose_on_part(donor, parts, range(4), STAY, lambda b, o: paste_on_part(mask, b, o))
    assert angles[chosen[0]] == 45.0
    assert abs(chosen[1].angle - 15) < 4


def test_a_part_that_is_laid_over_a_little_off_settles_on_the_surroundings(tmp_path: Path) -> None:
    mask = spot(place_of(30.0, (96.0, 96.0)))
    donor = sample_of(tmp_path, "donor", photograph(30.0), mask)
    good = sample_of(tmp_path, "good", photograph(30.0))
    motion, likeness = _settled(donor, good, Motion(dy=3.0, dx=-2.0))
    assert np.hypot(motion.dy, motion.dx) < 1.5
    assert likeness > 0.9
    _, elsewhere = _settled(donor, good, Motion(dy=-60.0, dx=40.0))
    assert elsewhere < likeness


def test_never_are_all_backgrounds_tried() -> None:
    """The best of all would be every image's."""
    rng = np.random.default_rng(0)
    assert len(tried(1, rng)) == 1
    assert len(tried(4, rng)) == 2
    assert len(tried(100, rng)) == 8
    assert {number for _ in range(50) for number in tried(4, rng)} == {0, 1, 2, 3}
