"""Masks without interpolation: Perlin noise, and the paper's "without HMI"."""

from __future__ import annotations

import numpy as np

from defectsynth_pipeline.shape.branching import warped_crack
from defectsynth_pipeline.shape.geometry import top_pixels
from defectsynth_pipeline.shape.image_space import interpolate_distance
from defectsynth_pipeline.shape.parents import Bounds, Parents
from defectsynth_pipeline.shape.variation import Warp

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
        shape = parents.shape(sample)
        mask = interpolate_distance(shape, shape, 0.0, parents.size, warp)
    return mask[:, ::-1] if rng.random() < 0.5 else mask
