"""Geometric augmentation: a real base image mirrored, turned, scaled and shifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.base import base_ids
from defectsynth_pipeline.arms.drawing import pick, rng_of, turn
from defectsynth_pipeline.arms.example import Example
from defectsynth_pipeline.arms.placing import Shot, shot, show_parts
from defectsynth_pipeline.corpora.reading import load_mask

Array = np.ndarray
TURN = 20.0  # degrees either way
SCALE = 1.15
SHIFT = 0.1  # of the image's side
KEPT = 0.75  # share of the defect that must stay in the image
_TRIES = 10


class Geometric(Arm):
    """Mirrors, turns within 20 degrees, scales within 15 %, shifts within 10 %."""

    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """As `Arm.plan`; a motion that takes the defect out of the image is drawn again."""
        pools = base_ids(bank, category, types)
        shots = {str(row["sample_id"]): shot(row) for _, row in bank.base(category).iterrows()}
        drawn = {name: _points(shots[name]) for pool in pools.values() for name in pool}
        normals = [shot(row) for _, row in bank.normals(category).iterrows()]
        fill = "nearest" if show_parts(normals or [*shots.values()]) else "reflect"
        recipes = []
        for number in range(count):
            defect_type, rounds = turn(types, number)
            sample = pick(pools[defect_type], rounds, seed, "geometric", defect_type)
            rng = rng_of(seed, "geometric", number)
            recipe = {"defect_type": defect_type, "source": sample, "sources": [sample]}
            recipes.append(recipe | {"fill": fill} | _motion(rng, *drawn[sample]))
        return recipes

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`.

        At the borders of a texture its mirror image comes in, defects and their mask included; at
        those of a part the ground goes on, so that no second part is seen.
        """
        real = bank.example(recipe["source"])
        image = _moved(real.image, recipe)
        limit = np.iinfo(real.image.dtype).max
        mask = _moved(real.mask.astype(np.float32), recipe) >= 0.5
        return Example(np.clip(np.rint(image), 0, limit).astype(real.image.dtype), mask)


def _points(sample: Shot) -> tuple[Array, tuple[int, int]]:
    """The defect's points (N, 2), and the image's size."""
    return np.argwhere(load_mask(sample)), (sample.height, sample.width)


def _motion(rng: np.random.Generator, points: Array, shape: tuple[int, ...]) -> dict[str, Any]:
    """Draw a motion that keeps the defect's points (N, 2) in the image."""
    flips = {"flip_y": bool(rng.random() < 0.5), "flip_x": bool(rng.random() < 0.5)}
    for _ in range(_TRIES):
        motion = flips | {
            "angle": float(rng.uniform(-TURN, TURN)),
            "scale": float(SCALE ** rng.uniform(-1, 1)),
            "dy": float(rng.uniform(-SHIFT, SHIFT) * shape[0]),
            "dx": float(rng.uniform(-SHIFT, SHIFT) * shape[1]),
        }
        matrix, centre, shift = _affine(motion, shape)
        places = (points - centre) @ matrix.T + centre + shift
        inside = ((places >= 0) & (places <= np.array(shape[:2]) - 1)).all(1)
        if len(points) and inside.mean() >= KEPT:
            return motion
    return flips | {"angle": 0.0, "scale": 1.0, "dy": 0.0, "dx": 0.0}


def _affine(motion: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Return the motion's matrix on (y, x), its fixed point before the shift, and the shift."""
    angle = np.deg2rad(motion["angle"])
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    mirror = np.diag([-1.0 if motion["flip_y"] else 1.0, -1.0 if motion["flip_x"] else 1.0])
    centre = (np.array(shape[:2]) - 1) / 2
    return motion["scale"] * turned @ mirror, centre, np.array([motion["dy"], motion["dx"]])


def _moved(values: Array, motion: Mapping[str, Any]) -> Array:
    """Return (H, W) or (H, W, C) moved, float32."""
    matrix, centre, shift = _affine(motion, values.shape)
    back = np.linalg.inv(matrix)
    offset = centre - back @ (centre + shift)
    planes = values[..., None] if values.ndim == 2 else values
    moved = [
        ndimage.affine_transform(
            planes[..., c], back, offset, order=1, mode=motion["fill"], output=np.float32
        )
        for c in range(planes.shape[2])
    ]
    return np.stack(moved, axis=-1).reshape(values.shape)
