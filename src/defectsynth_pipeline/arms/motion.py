"""A cut-out scaled, turned and moved to its place on another image, sampled only where it lands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.corpora.reading import full_scale

Array = np.ndarray
_SPLINE = 12  # px of surroundings that keep the spline's border effects away


@dataclass(frozen=True)
class Motion:
    """Donor pixels to pixels of the background: a scale, a turn about a centre, then a shift.

    Attributes:
        scale: Background pixels per donor pixel.
        angle: Degrees, clockwise as seen on screen.
        dy: Shift down, background pixels.
        dx: Shift right, background pixels.
        centre_y: Row of the turn's centre, background pixels before the shift.
        centre_x: Its column.
    """

    scale: float = 1.0
    angle: float = 0.0
    dy: float = 0.0
    dx: float = 0.0
    centre_y: float = 0.0
    centre_x: float = 0.0

    @property
    def copies(self) -> bool:
        """Whether pixels land on pixels, so that nothing is resampled."""
        whole = float(self.dy).is_integer() and float(self.dx).is_integer()
        return self.scale == 1 and self.angle == 0 and whole

    def onto(self, points: Array) -> Array:
        """Return where (N, 2) points (y, x) of the donor land on the background."""
        centre = np.array([self.centre_y, self.centre_x])
        scaled = (points + 0.5) * self.scale - 0.5
        moved: Array = (scaled - centre) @ self._turn().T + centre + (self.dy, self.dx)
        return moved

    def back(self, points: Array) -> Array:
        """Return where on the donor (N, 2) points of the background come from."""
        centre = np.array([self.centre_y, self.centre_x])
        scaled = (points - centre - (self.dy, self.dx)) @ self._turn() + centre
        found: Array = (scaled + 0.5) / self.scale - 0.5
        return found

    def _turn(self) -> Array:
        angle = np.deg2rad(self.angle)
        return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


class Patch(NamedTuple):
    """What lands on a window of the background.

    Attributes:
        window: Rows and columns of the background.
        values: (h, w, C) float64, the donor in the background's native values.
        inside: (h, w) bool, the donor's mask.
        known: (h, w) bool, where the donor's image reaches.
    """

    window: tuple[slice, slice]
    values: Array
    inside: Array
    known: Array


def land(donor: Array, mask: Array, motion: Motion, background: Array, margin: int) -> Patch:
    """Sample a donor where its defect lands: whole-pixel shifts copy, others go by cubic splines.

    Args:
        donor: (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, not empty.
        motion: Donor to background.
        background: Image whose size, channels and values the patch takes.
        margin: Background pixels kept around the defect.
    """
    window = _window(motion.onto(_corners(mask)), margin, background.shape)
    places, limit = _sources(window, motion), np.array(mask.shape) - 1
    known = ((places > -0.5) & (places < limit[:, None, None] + 0.5)).all(0)
    low, high = _reach(places, limit)
    part = slice(low[0], high[0]), slice(low[1], high[1])
    planes = in_values_of(donor[part], background, full_scale(donor))
    values = _sampled(planes, places - low[:, None, None], motion)
    return Patch(window, values, _cover(mask, places), np.asarray(known))


def landed_mask(mask: Array, motion: Motion, shape: tuple[int, ...]) -> Array:
    """Return the donor's mask (H, W) bool where it lands on a background of `shape`."""
    window = _window(motion.onto(_corners(mask)), 0, shape)
    placed = np.zeros(shape[:2], dtype=bool)
    placed[window] = _cover(mask, _sources(window, motion))
    return placed


def in_values_of(part: Array, background: Array, white: int | None = None) -> Array:
    """Return an image as float64 (h, w, C) in another's native values and channels.

    Equal dtypes are taken as they are: two files of one camera share their scale, whichever of
    them happens to be brighter.

    Args:
        part: (h, w) or (h, w, 3).
        background: Image whose dtype and channels count.
        white: Full scale of the image `part` is cut from, if not the part's own.
    """
    values = part.astype(np.float64)
    if part.dtype != background.dtype:
        values *= full_scale(background) / (white or full_scale(part))
    values = values[..., None] if values.ndim == 2 else values
    channels = 1 if background.ndim == 2 else background.shape[2]
    if values.shape[-1] != channels:
        values = np.repeat(values.mean(-1, keepdims=True), channels, axis=-1)
    return values


def _sources(window: tuple[slice, slice], motion: Motion) -> Array:
    """Where on the donor the pixels of a window come from: (2, h, w)."""
    height, width = (part.stop - part.start for part in window)
    grid = np.indices((height, width)).reshape(2, -1).T + [part.start for part in window]
    return motion.back(grid.astype(np.float64)).T.reshape(2, height, width)


def _reach(places: Array, limit: Array) -> tuple[Array, Array]:
    """First pixel, and one past the last, of the part of the donor that sampling needs."""
    low = np.floor(places.min((1, 2))).astype(int) - _SPLINE
    high = np.ceil(places.max((1, 2))).astype(int) + _SPLINE
    return np.clip(low, 0, limit), np.clip(high, 0, limit) + 1


def _sampled(planes: Array, places: Array, motion: Motion) -> Array:
    """Return (h, w, C) of (H, W, C) at places (2, h, w); mirrored beyond the borders."""
    if motion.copies:
        limit = np.array(planes.shape[:2])[:, None, None] - 1
        rows, columns = np.clip(np.rint(places).astype(int), 0, limit)
        copied: Array = planes[rows, columns]
        return copied
    values = [
        ndimage.map_coordinates(plane, places, order=3, mode="mirror")
        for plane in np.moveaxis(planes, -1, 0)
    ]
    return np.stack(values, -1)


def _cover(mask: Array, places: Array) -> Array:
    """Return (h, w) bool, the mask at places (2, h, w); a stroke that would vanish is kept."""
    low, high = _reach(places, np.array(mask.shape) - 1)
    part = mask[low[0] : high[0], low[1] : high[1]].astype(np.float64)
    cover = ndimage.map_coordinates(part, places - low[:, None, None], order=1, mode="constant")
    inside = cover >= 0.5 - 1e-6
    return np.asarray(inside if inside.any() else cover > 1e-6)


def _corners(mask: Array) -> Array:
    """Corners (4, 2) of the mask's bounding box."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return np.array([[y, x] for y in rows[[0, -1]] for x in columns[[0, -1]]], dtype=np.float64)


def _window(corners: Array, margin: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of an image that holds the corners and a margin; at least one pixel."""
    low = np.floor(corners.min(0)).astype(int) - margin
    high = np.ceil(corners.max(0)).astype(int) + margin + 1
    spans = []
    for start, stop, limit in zip(low, high, shape[:2], strict=True):
        begin = int(np.clip(start, 0, limit - 1))
        spans.append(slice(begin, int(np.clip(stop, begin + 1, limit))))
    return spans[0], spans[1]
