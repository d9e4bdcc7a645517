"""Position, rotation, scale and elastic change, as far as the base masks themselves vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from defectsynth_pipeline.shape.geometry import Measures

ROUND = 1.3
"""Below this ratio of its main axes a shape has no direction, and any rotation is as likely."""
_WAVES = 4
_ELASTIC = 0.03
_MAX_ROTATION = np.pi / 6


@dataclass(frozen=True)
class Spread:
    """How much the base masks of one type vary.

    Attributes:
        low: Smallest (row, column) of the centroids, pixels.
        high: Largest (row, column) of the centroids, pixels.
        position: Standard deviation of the centroid per axis, pixels.
        rotation: Standard deviation of the main direction, radians; pi if shapes are round.
        scale: Standard deviation of the logarithm of the square root of the area.
    """

    low: np.ndarray
    high: np.ndarray
    position: np.ndarray
    rotation: float
    scale: float


@dataclass(frozen=True)
class Warp:
    """A smooth change of points: rotation, scale and shift about a centre, plus plane waves.

    Attributes:
        rotation: Radians, from rows towards columns being positive.
        scale: Factor on lengths.
        shift: (row, column) pixels.
        waves: Rows of (row frequency, column frequency, phase, row amplitude, column amplitude),
            frequencies in radians per pixel and amplitudes in pixels.
    """

    rotation: float
    scale: float
    shift: np.ndarray
    waves: np.ndarray

    def forward(self, points: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Move points (..., 2)."""
        turned = rotate(points - centre, self.rotation) * self.scale
        return turned + self._elastic(points - centre) + centre + self.shift

    def backward(self, offsets: np.ndarray) -> np.ndarray:
        """Offsets (..., 2) from the new centre, looked up in the unvaried shape."""
        back = rotate(offsets, -self.rotation) / self.scale
        return back - self._elastic(back)

    def _elastic(self, offsets: np.ndarray) -> np.ndarray:
        if len(self.waves) == 0:
            return np.zeros_like(offsets)
        phase = offsets @ self.waves[:, :2].T + self.waves[:, 2]
        return np.asarray(np.sin(phase) @ self.waves[:, 3:])


IDENTITY = Warp(0.0, 1.0, np.zeros(2), np.zeros((0, 5)))


def rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Rotate (..., 2) row-column vectors about the origin by `angle` radians."""
    if angle == 0:
        return points
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cosine, -sine], [sine, cosine]]))


def spread_of(measures: Sequence[Measures]) -> Spread:
    """Measure how the base masks of one type vary; needs at least one mask."""
    centres = np.array([measure.centroid for measure in measures])
    long = [measure.angle for measure in measures if measure.elongation >= ROUND]
    if len(long) * 2 < len(measures):
        rotation = np.pi
    else:
        strength = abs(np.exp(2j * np.array(long)).mean())
        rotation = float(np.sqrt(-2 * np.log(max(strength, 1e-3))) / 2)
    return Spread(
        low=centres.min(axis=0),
        high=centres.max(axis=0),
        position=centres.std(axis=0),
        rotation=rotation,
        scale=float(np.log([measure.area for measure in measures]).std() / 2),
    )


def draw_warp(
    rng: np.random.Generator, spread: Spread, reach: float, strength: float = 1.0
) -> Warp:
    """Draw a change within the spread; `strength` 0 leaves only the elastic part.

    Args:
        rng: Source of randomness.
        spread: How the base masks vary.
        reach: Extent of the shape in pixels; waves are a fraction of it long and high.
        strength: Share of the spread that is used for position, rotation and scale.
    """
    rotation = np.pi if spread.rotation >= np.pi else min(spread.rotation, _MAX_ROTATION)
    shift = rng.uniform(-1, 1, 2) * np.maximum(spread.position, 1.0) * strength
    scale = float(np.exp(rng.uniform(-1, 1) * min(spread.scale, 0.25) * strength))
    directions = rng.uniform(0, np.pi, _WAVES)
    frequency = 2 * np.pi * rng.uniform(0.5, 2.0, _WAVES) / max(reach, 4.0)
    amplitudes = rng.normal(0, _ELASTIC * reach / np.sqrt(_WAVES), (_WAVES, 2))
    waves = np.column_stack(
        [
            frequency * np.cos(directions),
            frequency * np.sin(directions),
            rng.uniform(0, 2 * np.pi, _WAVES),
            amplitudes,
        ]
    )
    return Warp(float(rng.uniform(-1, 1) * rotation * strength), scale, shift, waves)
