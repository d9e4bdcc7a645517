"""A mask follows the part it was made on, wherever that lies and whichever way it is turned."""

from __future__ import annotations

import numpy as np
import pytest

from defectsynth_pipeline.appearance.placement import (
    GRID,
    lay_over,
    mask_on_part,
    part_map,
    share_on_part,
)

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
