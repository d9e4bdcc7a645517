"""The ways to make one mask, the best first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.shape.alternatives import geometric_mask, perlin_mask
from defectsynth_pipeline.shape.branching import interpolate_cracks, warped_crack
from defectsynth_pipeline.shape.coordinates import interpolate_coordinates
from defectsynth_pipeline.shape.image_space import interpolate_distance, without_specks
from defectsynth_pipeline.shape.parents import Parents
from defectsynth_pipeline.shape.variation import IDENTITY, Warp, draw_warp

_TRIES = 4
_KEPT = 0.9
"""Fragments are dropped only as long as this share of the area stays."""


def cleaned(
    attempts: Iterator[tuple[str, str, np.ndarray]], parts: int
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Drop the smallest fragments of masks that have more parts than any base mask."""
    for space, way, mask in attempts:
        kept = mask if way == "random" else without_specks(mask, parts)
        yield space, way, kept if kept.sum() >= _KEPT * mask.sum() else mask


def attempts_at(
    row: pd.Series, parents: Parents, options: MaskOptions, latent: np.ndarray | None
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield (space, way, mask), the best way first; the last one is always nonempty."""
    first, *rest = str(row["parents"]).split("|")
    if row["space"] in ("perlin", "geometric"):
        for turn in range(_TRIES):
            rng = _generator(row, turn)
            if row["space"] == "perlin":
                yield "perlin", "random", perlin_mask(rng, parents.size, parents.bounds)
            else:
                yield "geometric", "random", geometric_mask(rng, parents, first)
    else:
        if latent is not None:
            yield "latent", "interpolated", latent
        pair, alpha = (first, (rest or [first])[0]), float(row["alpha"])
        for turn in range(_TRIES):
            yield "image", *_interpolated(row, parents, options, pair=pair, turn=turn)
        for turn in range(_TRIES):
            sample = pair[(turn + (alpha >= 0.5)) % 2]
            strength = 1.0 - turn / _TRIES
            yield "image", "warped", _warped(parents, sample, _generator(row, 9 + turn), strength)
    yield "image", "copied", parents.masks[first]


def _interpolated(
    row: pd.Series,
    parents: Parents,
    options: MaskOptions,
    *,
    pair: tuple[str, str],
    turn: int,
) -> tuple[str, np.ndarray]:
    """One attempt at a mask between two parents, and the way it was made."""
    rng, alpha = _generator(row, turn), float(row["alpha"])
    varied = row["way"] == "varied" or row["space"] == "latent"
    warp = _warp(rng, parents, pair, alpha) if varied else IDENTITY
    by_coordinates = options.estimator == "coordinates" and not varied
    if by_coordinates and turn == 0:
        one, two = (parents.coordinates(sample) for sample in pair)
        return "interpolated", interpolate_coordinates(one, two, alpha, parents.size)
    if parents.branching:
        near, far = (parents.crack(sample) for sample in pair)
        mask = interpolate_cracks(
            near,
            far,
            alpha,
            rng=rng,
            size=parents.size,
            warp=warp,
            area=parents.bounds.area,
        )
        return "varied" if varied else "parts", mask
    if turn > by_coordinates and not varied:
        varied, warp = True, draw_warp(rng, parents.spread, _reach(parents, pair), 0.0)
    first, second = (parents.shape(sample) for sample in pair)
    mask = interpolate_distance(first, second, alpha, parents.size, warp)
    return "varied" if varied else "interpolated", mask


def _warp(rng: np.random.Generator, parents: Parents, pair: tuple[str, str], alpha: float) -> Warp:
    """A variation that leaves the centre within the box of the base masks' centres."""
    warp = draw_warp(rng, parents.spread, _reach(parents, pair))
    centres = [np.array(parents.measures[sample].centroid) for sample in pair]
    centre = (1 - alpha) * centres[0] + alpha * centres[1]
    place = np.clip(centre + warp.shift, parents.spread.low - 1, parents.spread.high + 1)
    areas = [parents.measures[sample].area for sample in pair]
    power = 1.0 if parents.branching else 2.0
    limits = np.array(parents.bounds.area) / ((1 - alpha) * areas[0] + alpha * areas[1])
    scale = float(np.clip(warp.scale, *limits ** (1 / power)))
    return replace(warp, shift=place - centre, scale=scale)


def _warped(parents: Parents, sample: str, rng: np.random.Generator, strength: float) -> np.ndarray:
    """One real mask, bent and slightly moved."""
    warp = draw_warp(rng, parents.spread, parents.measures[sample].reach, 0.3 * strength)
    warp = replace(warp, scale=1.0, waves=warp.waves * [1, 1, 1, strength, strength])
    if parents.branching:
        area = parents.bounds.area
        return warped_crack(parents.crack(sample), size=parents.size, warp=warp, area=area)
    shape = parents.shape(sample)
    return interpolate_distance(shape, shape, 0.0, parents.size, warp)


def _reach(parents: Parents, pair: tuple[str, str]) -> float:
    return min(parents.measures[sample].reach for sample in pair)


def _generator(row: Any, turn: int) -> np.random.Generator:
    """Counter-based: the same for a row and attempt, whatever was rendered before."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(row["seed"]), turn])))
