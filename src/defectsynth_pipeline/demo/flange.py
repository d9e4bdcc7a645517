"""A machined flange on a dark bench; defects: pinhole (tiny), dent (blob), scratch (thin)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.demo.noise import (
    grid,
    light_on,
    octaves,
    photograph,
    smooth_noise,
    step,
    stroke,
    wander,
)

DEFECT_TYPES = ("pinhole", "dent", "scratch")
SIZE = 256
_LIGHT = -2.2
_STEEL = np.array([1.0, 0.985, 0.955], np.float32)
_BENCH = np.array([0.115, 0.125, 0.145], np.float32)


@dataclass(frozen=True)
class _Pose:
    """Where a flange lies: centre in pixels, rotation in radians, radii in pixels."""

    x: float
    y: float
    turn: float
    outer: float
    inner: float
    light: float


def draw_flange(
    rng: np.random.Generator, defect_type: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One photograph of a flange, rotated at random.

    Args:
        rng: Decides everything.
        defect_type: One of `DEFECT_TYPES`, or None for a good part.

    Returns:
        uint8 (256, 256, 3) and its mask, bool (256, 256).
    """
    x, y = SIZE / 2 + rng.uniform(-7, 7, 2)
    pose = _Pose(
        x=float(x),
        y=float(y),
        turn=rng.uniform(0, 2 * np.pi),
        outer=rng.uniform(99, 102),
        inner=rng.uniform(40, 42),
        light=_LIGHT + rng.normal(0, 0.08),
    )
    distance = _distance(pose)
    steel = _steel(rng, pose, distance)
    mask = np.zeros((SIZE, SIZE), bool)
    if defect_type is not None:
        steel, mask = _DRAW[defect_type](rng, steel, distance, pose)
    body = step(distance)[..., None]
    scene = body * steel[..., None] * _STEEL + (1 - body) * _bench(rng, distance, pose)
    return photograph(rng, scene * rng.uniform(0.94, 1.06)), mask


def _polar(pose: _Pose) -> tuple[np.ndarray, np.ndarray]:
    y, x = grid(SIZE, SIZE)
    return np.hypot(x - pose.x, y - pose.y), np.arctan2(y - pose.y, x - pose.x)


def _hole_centres(pose: _Pose) -> list[tuple[float, float]]:
    radius = 0.5 * (pose.outer + pose.inner) + 3
    angles = pose.turn + np.arange(5) * 2 * np.pi / 5
    return [(pose.x + radius * np.cos(a), pose.y + radius * np.sin(a)) for a in angles]


def _distance(pose: _Pose) -> np.ndarray:
    """Distance into the metal in pixels, negative outside of it and in its holes."""
    y, x = grid(SIZE, SIZE)
    radius, _ = _polar(pose)
    inside = np.minimum(pose.outer - radius, radius - pose.inner)
    for cx, cy in _hole_centres(pose):
        inside = np.minimum(inside, np.hypot(x - cx, y - cy) - 9.5)
    cos, sin = np.cos(pose.turn + 0.63), np.sin(pose.turn + 0.63)
    along, across = (x - pose.x) * cos + (y - pose.y) * sin, (y - pose.y) * cos - (x - pose.x) * sin
    keyway = np.minimum(7.5 - np.abs(across), pose.inner + 9 - along)
    keyway = np.minimum(keyway, along)
    return np.minimum(inside, -keyway)


def _steel(rng: np.random.Generator, pose: _Pose, distance: np.ndarray) -> np.ndarray:
    """Turned metal: grooves along the circle, bright sectors, chamfered edges."""
    radius, angle = _polar(pose)
    grooves = smooth_noise(rng, (1, 1600), (0.0, 1.1))[0]
    groove = np.interp(radius.ravel() * 8, np.arange(1600), grooves).reshape(radius.shape)
    wobble = octaves(rng, (SIZE, SIZE), (22.0, 7.0))
    lobes = np.cos(2 * (angle - pose.light)) * 0.5 + 0.35 * np.cos(4 * (angle - pose.light) + 0.6)
    value = 0.5 + 0.13 * lobes + 0.028 * groove + 0.018 * wobble
    value += 0.012 * rng.standard_normal(radius.shape).astype(np.float32)
    bevel = np.clip(distance, 0, 3.5)
    value += 0.16 * np.clip(light_on(bevel, pose.light), -1, 1)
    ridge = np.exp(-(((radius - pose.outer + 15) / 1.3) ** 2))
    return np.asarray(value - 0.13 * ridge * step(distance - 2), np.float32)


def _bench(rng: np.random.Generator, distance: np.ndarray, pose: _Pose) -> np.ndarray:
    grain = octaves(rng, (SIZE, SIZE), (0.8, 2.0, 30.0), 0.8)
    y, x = grid(SIZE, SIZE)
    slope = ((x - 128) * np.cos(pose.light) + (y - 128) * np.sin(pose.light)) / SIZE
    shift = (-7 * np.sin(pose.light), -7 * np.cos(pose.light))
    shadow = ndimage.gaussian_filter(ndimage.shift(step(distance), shift, order=1), 4)
    contact = ndimage.gaussian_filter(step(distance), 2.5)
    value = (1 + 0.10 * grain + 0.5 * slope) * (1 - 0.55 * shadow) * (1 - 0.4 * contact)
    return value[..., None] * _BENCH


def _spot(rng: np.random.Generator, distance: np.ndarray, clearance: float) -> tuple[float, float]:
    """A place on the metal, x and y, at least `clearance` pixels from every edge."""
    rows, columns = np.nonzero(distance > min(clearance, distance.max() - 1))
    index = rng.integers(len(rows))
    return float(columns[index]), float(rows[index])


def _pinhole(
    rng: np.random.Generator, steel: np.ndarray, distance: np.ndarray, pose: _Pose
) -> tuple[np.ndarray, np.ndarray]:
    y, x = grid(SIZE, SIZE)
    mask = np.zeros(steel.shape, bool)
    cx, cy = _spot(rng, distance, 8)
    for _ in range(rng.choice([1, 1, 2, 3])):
        radius = rng.uniform(1.7, 3.2)
        ratio, turn = rng.uniform(0.75, 1.0), rng.uniform(0, np.pi)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        depth = radius - np.hypot(u, v / ratio)
        rim = np.exp(-(((depth + 0.9) / 0.8) ** 2))
        lit = np.cos(np.arctan2(y - cy, x - cx) - pose.light)
        steel = steel * (1 - rng.uniform(0.75, 0.9) * step(depth, 0.8))
        steel = steel - 0.16 * rim * np.clip(lit, -1, 0.4)
        mask |= depth > -0.4
        cx, cy = cx + rng.normal(0, 7), cy + rng.normal(0, 7)
    return steel, mask & (distance > 0)


def _dent(
    rng: np.random.Generator, steel: np.ndarray, distance: np.ndarray, pose: _Pose
) -> tuple[np.ndarray, np.ndarray]:
    y, x = grid(SIZE, SIZE)
    cx, cy = _spot(rng, distance, 13)
    radius, ratio, turn = rng.uniform(8, 13), rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)
    u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
    v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
    reach = np.hypot(u, v / ratio) / radius + 0.09 * smooth_noise(rng, steel.shape, 5.0)
    bowl = -(np.clip(1 - reach**2, 0, 1) ** 1.3) + 0.22 * np.exp(-(((reach - 1.08) / 0.16) ** 2))
    shade = light_on(ndimage.gaussian_filter(bowl, 0.8), pose.light, 2.1)
    grain = 0.035 * smooth_noise(rng, steel.shape, 0.9) * (reach < 1)
    floor = 0.10 * np.clip(1 - reach, 0, 1)
    steel = steel + np.clip(shade, -0.34, 0.38) + grain - floor
    return steel, (reach < 1.1) & (distance > 0)


def _scratch(
    rng: np.random.Generator, steel: np.ndarray, distance: np.ndarray, pose: _Pose
) -> tuple[np.ndarray, np.ndarray]:
    cx, cy = _spot(rng, distance, 14)
    length, angle = rng.uniform(32, 78), rng.uniform(0, 2 * np.pi)
    start = (cx - np.cos(angle) * length / 2, cy - np.sin(angle) * length / 2)
    path = wander(rng, start, angle, length, turn=0.045)
    along = np.linspace(0, 1, len(path))
    taper = np.clip(np.minimum(along, 1 - along) * 9, 0.25, 1)
    widths = rng.uniform(1.3, 2.2) * taper
    metal = step(distance - 1)
    core = stroke(steel.shape, path, widths) * metal
    groove = (
        stroke(steel.shape, path + 1.1 * np.array([np.cos(pose.light), np.sin(pose.light)]), widths)
        * metal
    )
    press = np.clip(1 + 0.3 * smooth_noise(rng, steel.shape, 6.0), 0.45, 1.4)
    steel = steel + 0.34 * press * core - 0.27 * press * np.clip(groove - 0.5 * core, 0, 1)
    return steel, np.maximum(core, groove * 0.9) > 0.35


_DRAW = {"pinhole": _pinhole, "dent": _dent, "scratch": _scratch}
