"""Plain augmentation: real base images mirrored and moved, or under other light and focus.

torchvision does the pixel work, on float32 for 8 and 16 bit alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from defectsynth_pipeline.appearance.placement import show_parts
from defectsynth_pipeline.arms.arm import Arm, Recipe, Types, draws, made_of, rng_of
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.base import base_ids
from defectsynth_pipeline.corpora.reading import Example, each_sample
from defectsynth_pipeline.imaging.motion import Motion
from defectsynth_pipeline.imaging.pixels import as_pixels, full_scale

Array = np.ndarray
TURN = 20.0  # degrees either way
SCALE = 1.15
SHIFT = 0.1  # of the image's side
KEPT = 0.75  # share of the defect that must stay in the image
_TRIES = 10
GAIN = 1.25
GAMMA = 1.25
CONTRAST = 1.2
TINT = 1.05  # per channel
BLUR = 1.0  # px, in a third of the images
NOISE = 0.02  # of full scale


class Geometric(Arm):
    """Mirrors, turns within 20 degrees, scales within 15 %, shifts within 10 %."""

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`; a motion that takes the defect out of the image is drawn again."""
        pools = base_ids(bank, category, types)
        real = {sample.sample_id: sample for sample in each_sample(bank.base(category))}
        points = {name: np.argwhere(real[name].mask()) for pool in pools.values() for name in pool}
        normals = [*each_sample(bank.normals(category))]
        fill = "nearest" if show_parts(normals or [*real.values()]) else "reflect"
        recipes = []
        for number, defect_type, sample in draws(pools, count, seed, "geometric"):
            rng = rng_of(seed, "geometric", number)
            drawn = _draw_motion(rng, points[sample], real[sample].shape)
            recipes.append(made_of(defect_type, sample) | {"fill": fill} | drawn)
        return recipes

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`.

        At the borders of a texture its mirror image comes in, defects and their mask included; at
        those of a part the ground goes on, so that no second part is seen.
        """
        real = bank.example(recipe["source"])
        mask = _moved(real.mask, recipe)[..., 0] >= 0.5
        return Example(as_pixels(_moved(real.image, recipe), real.image), mask)


class Photometric(Arm):
    """Brightness, contrast, gamma, tint, blur and noise; the mask stays."""

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`."""
        pools = base_ids(bank, category, types)
        recipes = []
        for number, defect_type, sample in draws(pools, count, seed, "photometric"):
            rng = rng_of(seed, "photometric", number)
            light = {
                "gain": float(GAIN ** rng.uniform(-1, 1)),
                "gamma": float(GAMMA ** rng.uniform(-1, 1)),
                "contrast": float(CONTRAST ** rng.uniform(-1, 1)),
                "tint": [float(TINT ** rng.uniform(-1, 1)) for _ in range(3)],
                "blur": float(rng.uniform(0.3, BLUR)) if rng.random() < 1 / 3 else 0.0,
                "noise": float(rng.uniform(0, NOISE)),
                "noise_seed": int(rng.integers(1 << 62)),
            }
            recipes.append(made_of(defect_type, sample) | light)
        return recipes

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        real = bank.example(recipe["source"])
        white = full_scale(real.image)
        values = tv.to_image((real.image / white).astype(np.float32))
        values = tv.adjust_contrast(values, recipe["contrast"])
        values = tv.adjust_gamma(tv.adjust_brightness(values, recipe["gain"]), recipe["gamma"])
        if len(values) == 3:
            values = values * torch.tensor(recipe["tint"]).view(3, 1, 1)
        if recipe["blur"] > 0:
            reach = min(int(4 * BLUR), *(side - 1 for side in real.mask.shape))
            values = tv.gaussian_blur(values, [2 * reach + 1] * 2, [recipe["blur"]])
        lit = _array(values)
        noise = np.random.default_rng(recipe["noise_seed"]).standard_normal(lit.shape, np.float32)
        lit = (lit + recipe["noise"] * noise).clip(0, 1)
        return Example(as_pixels(lit * white, real.image), real.mask)


def _draw_motion(rng: np.random.Generator, points: Array, shape: tuple[int, int]) -> dict[str, Any]:
    """Draw a motion that keeps the defect's points (N, 2) in the image."""
    flips = {"flip_y": bool(rng.random() < 0.5), "flip_x": bool(rng.random() < 0.5)}
    last = np.array(shape) - 1
    mirrored = np.where([flips["flip_y"], flips["flip_x"]], last - points, points)
    for _ in range(_TRIES):
        drawn = flips | {
            "angle": float(rng.uniform(-TURN, TURN)),
            "scale": float(SCALE ** rng.uniform(-1, 1)),
            "dy": float(rng.uniform(-SHIFT, SHIFT) * shape[0]),
            "dx": float(rng.uniform(-SHIFT, SHIFT) * shape[1]),
        }
        places = _motion(drawn, shape).onto(mirrored)
        if len(points) and ((places >= 0) & (places <= last)).all(1).mean() >= KEPT:
            return drawn
    return flips | {"angle": 0.0, "scale": 1.0, "dy": 0.0, "dx": 0.0}


def _motion(recipe: Mapping[str, Any], shape: tuple[int, ...]) -> Motion:
    """The motion of a mirrored image of a shape: turned and scaled about its middle, shifted."""
    scale, middle = recipe["scale"], (np.array(shape[:2]) - 1) / 2
    centre = (middle + 0.5) * scale - 0.5
    shift = middle - centre + (recipe["dy"], recipe["dx"])
    return Motion(recipe["angle"], *map(float, (*shift, *centre, scale)))


def _moved(image: Array, recipe: Mapping[str, Any]) -> Array:
    """An image (H, W) or (H, W, C) moved, float32 (H, W, C); what comes in continues the image."""
    height, width = image.shape[:2]
    last = np.array([height, width]) - 1
    corners = np.array([(y, x) for y in (0, last[0]) for x in (0, last[1])])
    needed = _motion(recipe, image.shape).back(corners)
    room = int(np.ceil(max(-needed.min(), (needed - last).max(), 0))) + 1
    border = [(room, room)] * 2 + [(0, 0)] * (image.ndim - 2)
    # SciPy's "reflect" repeats the border, numpy calls that symmetric.
    padded = np.pad(image, border, "symmetric" if recipe["fill"] == "reflect" else "edge")
    planes = tv.to_image(padded.astype(np.float32))
    planes = tv.vertical_flip(planes) if recipe["flip_y"] else planes
    planes = tv.horizontal_flip(planes) if recipe["flip_x"] else planes
    shift, bilinear = [recipe["dx"], recipe["dy"]], InterpolationMode.BILINEAR
    moved = tv.affine(planes, recipe["angle"], shift, recipe["scale"], [0.0, 0.0], bilinear)
    return _array(tv.center_crop(moved, [height, width]))


def _array(tensor: torch.Tensor) -> Array:
    """(C, H, W) as (H, W, C)."""
    return np.moveaxis(tensor.numpy(), 0, -1)
