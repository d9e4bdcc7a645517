"""Stage 1: from a plan to masks, row by row, each by the best way that gives a plausible one.

Also masks without interpolation: Perlin noise, and the paper's "without HMI".
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.rendering import Rendered
from defectsynth_pipeline.shape.branching import interpolate_cracks, warped_crack
from defectsynth_pipeline.shape.geometry import measure, top_pixels, without_specks
from defectsynth_pipeline.shape.image_space import (
    interpolate_coordinates,
    interpolate_distance,
    shape_of,
)
from defectsynth_pipeline.shape.latent_space import interpolate_latents
from defectsynth_pipeline.shape.parents import TYPE, Bounds, Parents, base_types, why_implausible
from defectsynth_pipeline.shape.variation import IDENTITY, Warp, draw_warp

_TRIES = 4
_KEPT = 0.9
"""Fragments are dropped only as long as this share of the area stays."""
_log = logging.getLogger(__name__)


def render_masks(
    plan_rows: pd.DataFrame,
    samples: pd.DataFrame,
    options: MaskOptions,
    base_model: BaseModel | None = None,
) -> Iterator[Rendered]:
    """Make the masks of some plan rows.

    A mask depends on its row and the base masks only, not on the other rows. Every mask is
    nonempty and checked against the base masks; `record` says by which way it came: space
    (where it was really made), way ("interpolated", "parts" for cracks made of strokes,
    "varied", "warped" for one bent real mask, "copied", "random"), rejected (reasons of the
    attempts before it), area_ratio, stroke_width.

    Args:
        plan_rows: Any rows of `plan_masks`.
        samples: The `samples` table.
        options: The options the plan was made with.
        base_model: Needed if a row's space is "latent".

    Yields:
        One item per row, `arrays["mask"]` bool (height, width).
    """
    groups = dict(base_types(samples))
    ways: Counter[str] = Counter()
    for name, rows in plan_rows.groupby(TYPE, sort=True):
        if name not in groups:
            raise InputError(
                "the plan names a defect type without base masks",
                file="defect_masks",
                value="/".join(map(str, name)),
                remedy="plan the masks again from the same samples",
            )
        first = rows.iloc[0]
        size = int(first["height"]), int(first["width"])
        parents = Parents(groups[name], size, options.tolerance)
        latent = _latent_masks(rows, parents, options, base_model)
        for _, row in rows.iterrows():
            rendered = _render(row, parents, options, latent.get(str(row["image_id"])))
            ways[f"{rendered.record['space']}/{rendered.record['way']}"] += 1
            yield rendered
    _log.info("masks by space and way: %s", dict(ways))


def _latent_masks(
    rows: pd.DataFrame, parents: Parents, options: MaskOptions, base_model: BaseModel | None
) -> dict[str, np.ndarray]:
    """What latent interpolation gives for the rows that ask for it; may be empty masks."""
    wanted = rows[rows["space"] == "latent"]
    if wanted.empty:
        return {}
    if base_model is None:
        raise InputError(
            "latent interpolation needs a base model",
            value="/".join(rows.iloc[0][TYPE]),
            remedy="pass base_model, or set masks.method=image",
        )
    return interpolate_latents(wanted, parents.masks, parents.size, base_model, options.latent)


def _render(
    row: pd.Series, parents: Parents, options: MaskOptions, latent: np.ndarray | None
) -> Rendered:
    """The first acceptable attempt; the last one, a copy of a real mask, always is."""
    rejected: list[str] = []
    for space, way, mask in _attempts(row, parents, options, latent):
        kept = mask if way == "random" else without_specks(mask, parents.bounds.parts)
        chosen = kept if kept.sum() >= _KEPT * mask.sum() else mask
        reason = _check(chosen, row, parents, way)
        if not reason:
            break
        rejected.append(f"{'latent' if space == 'latent' else way}:{reason}")
    record = {
        "space": space,
        "way": way,
        "rejected": ",".join(rejected),
        "area_ratio": float(chosen.mean()),
        "stroke_width": measure(chosen).width,
    }
    return Rendered(str(row["image_id"]), {"mask": chosen}, record)


def _check(mask: np.ndarray, row: pd.Series, parents: Parents, way: str) -> str:
    """Why a mask is not acceptable, or ""; random ones only have to have a plausible area."""
    if not mask.any():
        return "empty"
    if way == "copied":
        return ""
    if way == "random":
        low, high = parents.bounds.area
        return "" if low <= int(mask.sum()) <= high else "area"
    pair = [parents.measures[sample] for sample in str(row["parents"]).split("|")]
    return why_implausible(measure(mask), parents.bounds, pair, parents.branching)


def _attempts(
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
        if latent is not None and row["way"] != "varied":
            yield "latent", "interpolated", latent
        elif latent is not None and latent.any() and not parents.branching:
            # A varied row has the pair and the alpha of a row before it, and so the same latents.
            for turn in range(_TRIES):
                yield "latent", "varied", _bent(latent, parents, _generator(row, 19 + turn))
        pair, alpha = (first, (rest or [first])[0]), float(row["alpha"])
        for turn in range(_TRIES):
            yield "image", *_interpolated(row, parents, options, pair=pair, turn=turn)
        for turn in range(_TRIES):
            sample = pair[(turn + (alpha >= 0.5)) % 2]
            strength = 1.0 - turn / _TRIES
            yield "image", "warped", _warped(parents, sample, _generator(row, 9 + turn), strength)
    yield "image", "copied", parents.masks[first]


def _interpolated(
    row: pd.Series, parents: Parents, options: MaskOptions, *, pair: tuple[str, str], turn: int
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
        area = parents.bounds.area
        mask = interpolate_cracks(
            near, far, alpha, rng=rng, size=parents.size, warp=warp, area=area
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


def _bent(mask: np.ndarray, parents: Parents, rng: np.random.Generator) -> np.ndarray:
    """A mask, bent, turned and moved by a part of what the base masks vary."""
    measures = measure(mask)
    warp = replace(draw_warp(rng, parents.spread, measures.reach, 0.5), scale=1.0)
    shape = shape_of(mask, measures)
    return interpolate_distance(shape, shape, 0.0, parents.size, warp)


def _reach(parents: Parents, pair: tuple[str, str]) -> float:
    return min(parents.measures[sample].reach for sample in pair)


def _generator(row: pd.Series, turn: int) -> np.random.Generator:
    """Counter-based: the same for a row and attempt, whatever was rendered before."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(row["seed"]), turn])))


_OCTAVES = 3
_MAX_SCALE = 1.3


def perlin_noise(rng: np.random.Generator, size: tuple[int, int], cells: int) -> np.ndarray:
    """Gradient noise (Perlin 1985) of (height, width), `cells` lattice cells along each side."""
    angles = rng.uniform(0, 2 * np.pi, (cells + 2, cells + 2))
    gradients = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    row, column = (np.linspace(0, cells, length, endpoint=False) for length in size)
    cell = row.astype(int)[:, None], column.astype(int)[None]
    inside = (row % 1)[:, None], (column % 1)[None]
    fade = [value**3 * (value * (value * 6 - 15) + 10) for value in inside]

    def corner(down: int, right: int) -> np.ndarray:
        gradient = gradients[cell[0] + down, cell[1] + right]
        return np.asarray(
            gradient[..., 0] * (inside[0] - down) + gradient[..., 1] * (inside[1] - right)
        )

    upper = corner(0, 0) + fade[1] * (corner(0, 1) - corner(0, 0))
    lower = corner(1, 0) + fade[1] * (corner(1, 1) - corner(1, 0))
    return np.asarray(upper + fade[0] * (lower - upper))


def perlin_mask(rng: np.random.Generator, size: tuple[int, int], bounds: Bounds) -> np.ndarray:
    """Fractal noise cut at an area drawn from the range of the base masks."""
    cells = int(rng.integers(2, 7))
    noise = sum(
        perlin_noise(rng, size, cells * 2**octave) / 2**octave for octave in range(_OCTAVES)
    )
    return top_pixels(np.asarray(noise), int(rng.integers(bounds.area[0], bounds.area[1] + 1)))


def geometric_mask(rng: np.random.Generator, parents: Parents, sample: str) -> np.ndarray:
    """One real mask, flipped, rotated, scaled and moved anywhere in the frame, at random.

    The scale keeps the area within the range of the base masks; strokes keep their width.
    """
    measures = parents.measures[sample]
    limits = np.sqrt(np.array(parents.bounds.area) / measures.area)
    scale = float(np.clip(rng.uniform(1 / _MAX_SCALE, _MAX_SCALE), *limits))
    place = rng.uniform(0, 1, 2) * (np.array(parents.size) - 1)
    angle = float(rng.uniform(-np.pi, np.pi))
    warp = Warp(angle, scale, place - measures.centroid, np.zeros((0, 5)))
    if parents.branching:
        area = parents.bounds.area
        mask = warped_crack(parents.crack(sample), size=parents.size, warp=warp, area=area)
    else:
        shape = shape_of(parents.masks[sample], measures, goes_on=False)
        mask = interpolate_distance(shape, shape, 0.0, parents.size, warp)
    return mask[:, ::-1] if rng.random() < 0.5 else mask
