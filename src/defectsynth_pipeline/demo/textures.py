"""Procedural photographs of surfaces: stained cloth, cracked pavement, a radiograph of a weld."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.demo.noise import (
    grid,
    octaves,
    photograph,
    smooth_noise,
    step,
    stroke,
    wander,
)

FABRIC_DEFECTS = ("stain",)
SIZE = 256
_CLOTH = np.array([0.56, 0.60, 0.63], np.float32)
_TINT = np.array([0.62, 0.45, 0.26], np.float32)


def draw_fabric(
    rng: np.random.Generator, defect_type: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One photograph of a cloth.

    Args:
        rng: Decides everything.
        defect_type: "stain", or None for a good cloth.

    Returns:
        uint8 (256, 256, 3) and its mask, bool (256, 256).
    """
    scene = _weave(rng)[..., None] * _CLOTH
    mask = np.zeros((SIZE, SIZE), bool)
    if defect_type is not None:
        scene, mask = _stain(rng, scene)
    y, x = grid(SIZE, SIZE)
    direction = rng.uniform(0, 2 * np.pi)
    slope = ((x - 128) * np.cos(direction) + (y - 128) * np.sin(direction)) / SIZE
    scene = scene * (rng.uniform(0.95, 1.05) + 0.10 * slope)[..., None]
    return photograph(rng, scene, blur=0.6), mask


def _weave(rng: np.random.Generator) -> np.ndarray:
    """Brightness of a plain weave: threads as lit cylinders, over and under in turn."""
    y, x = grid(SIZE, SIZE)
    turn, period = rng.normal(0, 0.025), 7.0
    bend = [smooth_noise(rng, (SIZE, SIZE), 28.0) * 0.8 for _ in range(2)]
    u = (x * np.cos(turn) + y * np.sin(turn) + bend[0] + 40) / period
    v = (y * np.cos(turn) - x * np.sin(turn) + bend[1] + 40) / period
    warp, weft = np.floor(u).astype(int), np.floor(v).astype(int)
    over = (warp + weft) % 2 == 0
    across = np.where(over, u - warp, v - weft) - 0.5
    along = np.where(over, v - weft, u - warp) - 0.5
    threads = rng.normal(0, 0.055, (2, 96))
    tone = np.where(over, threads[0][warp % 96], threads[1][weft % 96])
    round_ = np.sqrt(np.clip(1 - (1.75 * across) ** 2, 0, 1))
    crown = np.cos(np.pi * along * 0.95)
    fibre = smooth_noise(rng, (SIZE, SIZE), 0.7) * 0.045
    value = 0.34 + 0.58 * round_ * (0.45 + 0.55 * crown) + tone + fibre
    value += 0.02 * octaves(rng, (SIZE, SIZE), (40.0, 12.0))
    return np.asarray(value * np.where(over, 1.06, 0.97), np.float32)


def _stain(rng: np.random.Generator, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A dried liquid: soaked area with a darker rim, here and there a satellite drop."""
    y, x = grid(SIZE, SIZE)
    cx, cy = rng.uniform(75, SIZE - 75, 2)
    radius, ratio, turn = rng.uniform(34, 58), rng.uniform(0.65, 1.0), rng.uniform(0, np.pi)
    u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
    v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
    outline = 0.17 * smooth_noise(rng, scene.shape[:2], 17.0)
    outline += 0.06 * smooth_noise(rng, scene.shape[:2], 5.0)
    inside = radius * (1 - np.hypot(u, v / ratio) / radius + outline)
    keep, _ = ndimage.label(inside > 0)
    inside = np.where((keep == keep[int(cy), int(cx)]) | (inside <= 0), inside, -3.0)
    for _ in range(rng.integers(0, 3)):
        angle, gap = rng.uniform(0, 2 * np.pi), radius * rng.uniform(1.15, 1.45)
        drop = rng.uniform(3, 7) - np.hypot(
            x - cx - gap * np.cos(angle), y - cy - gap * np.sin(angle)
        )
        inside = np.maximum(inside, drop)
    soak = step(inside + 0.8 * smooth_noise(rng, scene.shape[:2], 1.2), 2.4)
    rim = np.exp(-(((inside - 2.5) / 2.6) ** 2)) + 0.35 * np.exp(-(((inside - 12) / 4.0) ** 2))
    patch = 0.62 + 0.10 * octaves(rng, scene.shape[:2], (20.0, 6.0)) + 0.33 * rim
    weight = np.clip(soak * patch * rng.uniform(0.55, 0.9), 0, 1)[..., None]
    return scene * (1 - weight + weight * _TINT), inside > -0.5


HEIGHT, WIDTH = 256, 384


def draw_pavement(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One photograph of a cracked pavement.

    Args:
        rng: Decides everything.

    Returns:
        uint8 (256, 384, 3) and the coverage of the crack, uint8 (256, 384), anti-aliased.
    """
    surface = _surface(rng)
    crack = _crack(rng)
    shape = crack.shape
    depth = np.clip(ndimage.gaussian_filter(crack, 0.5) * 1.15, 0, 1)
    depth *= np.clip(0.93 + 0.10 * smooth_noise(rng, shape, 5.0), 0.7, 1)
    worn = ndimage.gaussian_filter(crack, 2.6) * (1 + 0.5 * smooth_noise(rng, shape, 3.0))
    lip = np.clip(np.roll(crack, (2, 2), (0, 1)) - crack, 0, 1)
    scene = surface * (1 - 0.16 * np.clip(worn, 0, 1))[..., None] + 0.05 * lip[..., None]
    floor = 0.09 + 0.05 * np.clip(smooth_noise(rng, shape, 1.5), 0, 2)
    scene = scene * (1 - depth[..., None]) + (depth * floor)[..., None]
    return photograph(rng, scene, blur=0.6), np.rint(crack * 255).astype(np.uint8)


def _surface(rng: np.random.Generator) -> np.ndarray:
    """Stones of several sizes in a binder, weathering, a little colour; (256, 384, 3)."""
    shape = (HEIGHT, WIDTH)
    fine = smooth_noise(rng, shape, 0.8)
    medium = smooth_noise(rng, shape, 1.7)
    stones = np.clip(medium - 0.9, 0, 1.4) * rng.uniform(0.05, 0.13)
    pits = np.clip(-smooth_noise(rng, shape, 1.2) - 1.5, 0, 1) * rng.uniform(0.10, 0.2)
    weather = octaves(rng, shape, (60.0, 24.0, 8.0))
    base = rng.uniform(0.42, 0.58)
    grey = base + 0.045 * fine + 0.025 * medium + stones - pits + 0.028 * weather
    y, x = grid(*shape)
    direction = rng.uniform(0, 2 * np.pi)
    grey += 0.07 * ((x / WIDTH - 0.5) * np.cos(direction) + (y / HEIGHT - 0.5) * np.sin(direction))
    tint = np.array([1.0, 0.985, 0.955]) + rng.normal(0, 0.012, 3)
    warm = 0.012 * smooth_noise(rng, shape, 2.2)[..., None] * np.array([1.0, 0.1, -1.0])
    return np.asarray(grey[..., None] * tint + warm, np.float32)


def _crack(rng: np.random.Generator) -> np.ndarray:
    """Coverage of a crack that crosses the image, with up to three branches."""
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.35)
    length = 0.5 * rng.uniform(0.75, 1.7) * (WIDTH if abs(np.cos(angle)) > 0.7 else HEIGHT)
    centre = np.array([WIDTH, HEIGHT]) * rng.uniform(0.35, 0.65, 2)
    direction = np.array([np.cos(angle), np.sin(angle)])
    path = wander(rng, tuple(centre - direction * length), angle, 2 * length, turn=0.42)
    path += centre - path[len(path) // 2]
    width = rng.uniform(2.2, 3.8)
    crack = stroke((HEIGHT, WIDTH), path, _widths(rng, len(path), width, 0.25))
    for _ in range(rng.integers(0, 4)):
        origin = path[int(rng.uniform(0.2, 0.8) * len(path))]
        turn = angle + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
        branch = wander(rng, tuple(origin), turn, rng.uniform(45, 130), turn=0.45)
        widths = _widths(rng, len(branch), width * rng.uniform(0.5, 0.75), 0.0)
        crack = np.maximum(crack, stroke((HEIGHT, WIDTH), branch, widths))
    return crack


def _widths(rng: np.random.Generator, count: int, width: float, start: float) -> np.ndarray:
    """Widths along a crack in pixels: uneven, thinning out to its end (and from its start)."""
    along = np.linspace(0, 1, count)
    uneven = 1 + 0.28 * smooth_noise(rng, (1, count), (0.0, 3.0))[0]
    ends = np.clip((1 - along) * 4, 0.3, 1)
    if start:
        ends = np.minimum(ends, np.clip(along * 4, 0.3, 1))
    return np.clip(width * uneven * ends, 0.8, None)


_WELD_HEIGHT, _WELD_WIDTH = 384, 1152


def draw_weld(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One radiograph with three groups of pores.

    Args:
        rng: Decides everything.

    Returns:
        uint8 (384, 1152), grey, and its mask, bool.
    """
    y, x = grid(_WELD_HEIGHT, _WELD_WIDTH)
    shape = (_WELD_HEIGHT, _WELD_WIDTH)
    middle = (
        _WELD_HEIGHT / 2
        + rng.normal(0, 8)
        + 4 * smooth_noise(rng, (1, _WELD_WIDTH), (0.0, 150.0))[0]
    )
    half = 66 + 2.2 * smooth_noise(rng, (1, _WELD_WIDTH), (0.0, 16.0))[0] + rng.normal(0, 3)
    across = (y - middle) / half
    bead = np.clip(1 - across**2, 0, 1) ** 0.55
    pitch = rng.uniform(13, 16)
    ripple = np.sin(2 * np.pi * (x + 14 * across**2 + 2 * smooth_noise(rng, shape, 9.0)) / pitch)
    value = (
        0.40
        + 0.07 * (x / _WELD_WIDTH - 0.5) * rng.normal(0, 1)
        + 0.025 * octaves(rng, shape, (90.0, 30.0))
    )
    value = value + bead * (0.19 + 0.018 * ripple) + 0.012 * bead * octaves(rng, shape, (12.0, 5.0))
    root = np.exp(-((across / 0.16) ** 2))
    value = value + 0.035 * root * (1 + 0.6 * smooth_noise(rng, (1, _WELD_WIDTH), (0.0, 18.0))[0])
    value -= 0.05 * np.exp(-(((np.abs(across) - 1.03) / 0.06) ** 2))
    mask = np.zeros(shape, bool)
    places = (np.arange(3) + rng.uniform(0.32, 0.68, 3)) * _WELD_WIDTH / 3
    for centre in places:
        value, mask = _pores(rng, value, mask, centre, float(middle[int(centre)]))
    film = 0.016 * smooth_noise(rng, shape, 0.75) + 0.012 * smooth_noise(rng, shape, 1.6)
    fall = 1 - 0.35 * ((y / _WELD_HEIGHT - 0.5) * 2) ** 4
    return np.rint((value * fall + film).clip(0, 1) * 255).astype(np.uint8), mask


def _pores(
    rng: np.random.Generator, value: np.ndarray, mask: np.ndarray, x0: float, y0: float
) -> tuple[np.ndarray, np.ndarray]:
    """A group of 2 to 5 pores: less metal, hence darker, with soft edges."""
    for _ in range(rng.integers(2, 6)):
        cx, cy = x0 + rng.normal(0, 15), y0 + np.clip(rng.normal(0, 13), -38, 38)
        radius, ratio, turn = rng.uniform(4, 10), rng.uniform(0.55, 1.0), rng.normal(0, 0.4)
        top, left = max(int(cy) - 24, 0), max(int(cx) - 24, 0)
        part = np.s_[top : top + 48, left : left + 48]
        y, x = np.mgrid[part]
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        reach = np.hypot(u, v / ratio) / radius + 0.08 * smooth_noise(rng, u.shape, 3.0)
        chord = np.sqrt(np.clip(1.05 - reach**2, 0, 1))
        value[part] -= rng.uniform(0.13, 0.22) * chord
        mask[part] |= reach < 0.98
    return value, mask
