"""A similarity, the one motion of the house: masks, latents, parts and cut-outs move by it.

`warp` moves a whole image on its own grid. `land` cuts a defect out and samples it only where it
lands on another image, which may have another size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from defectsynth_pipeline.imaging.pixels import full_scale, in_values_of
from defectsynth_pipeline.imaging.rectangle import Rectangle

Array = np.ndarray
Fill = Literal["zero", "edge"]
_MODES = {0: "nearest", 1: "bilinear", 3: "bicubic"}
_SPLINE = 12  # px of surroundings that keep the spline's border effects away


@dataclass(frozen=True)
class Motion:
    """A grid is scaled, turned about a centre, then shifted: source pixels to target pixels.

    Its fields are columns of plans and keys of recipes.

    Attributes:
        angle: Degrees, clockwise as seen on screen (from +x towards +y, y down).
        dy: Shift down, target pixels.
        dx: Shift right, target pixels.
        centre_y: Row of the turn's centre, target pixels before the shift.
        centre_x: Its column.
        scale: Target pixels per source pixel.
    """

    angle: float = 0.0
    dy: float = 0.0
    dx: float = 0.0
    centre_y: float = 0.0
    centre_x: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Motion:
        """The motion of a row of a plan, or of a recipe; what is not in it is not moved."""
        return cls(**{f.name: float(row[f.name]) for f in fields(cls) if f.name in row})

    @property
    def copies(self) -> bool:
        """Whether pixels land on pixels, so that nothing is resampled."""
        whole = float(self.dy).is_integer() and float(self.dx).is_integer()
        return self.scale == 1 and self.angle == 0 and whole

    def scaled(self, factor: float) -> Motion:
        """The same motion on grids `factor` times finer: latents to pixels, or back."""
        centre_y, centre_x = ((c + 0.5) * factor - 0.5 for c in (self.centre_y, self.centre_x))
        shift = {"dy": self.dy * factor, "dx": self.dx * factor}
        return replace(self, centre_y=centre_y, centre_x=centre_x, **shift)

    def onto(self, points: Array) -> Array:
        """Where (N, 2) points (y, x) of the source land on the target."""
        centre = (self.centre_y, self.centre_x)
        scaled = points if self.scale == 1 else (points + 0.5) * self.scale - 0.5
        moved: Array = (scaled - centre) @ rotation(self.angle).T + centre + (self.dy, self.dx)
        return moved

    def back(self, points: Array) -> Array:
        """Where on the source (N, 2) points of the target come from."""
        centre = np.array([self.centre_y, self.centre_x])
        found: Array = (points - centre - (self.dy, self.dx)) @ rotation(self.angle) + centre
        return found if self.scale == 1 else (found + 0.5) / self.scale - 0.5

    @overload
    def warp(self, values: Array, order: int = ..., fill: Fill = ...) -> Array: ...
    @overload
    def warp(self, values: torch.Tensor, order: int = ..., fill: Fill = ...) -> torch.Tensor: ...
    def warp(
        self, values: Array | torch.Tensor, order: int = 1, fill: Fill = "zero"
    ) -> Array | torch.Tensor:
        """Move an image or latents on their own grid (paper Eq. 6: z' = R(T(z))).

        Args:
            values: Tensor (C, H, W), or array (H, W) or (H, W, C); any dtype.
            order: 0 nearest, 1 bilinear, 3 bicubic.
            fill: What comes in from outside: "zero", or "edge", the nearest border value.

        Returns:
            The same kind, shape and dtype; integers rounded. `STAY` returns the values themselves.
        """
        if self == STAY:
            return values
        if isinstance(values, torch.Tensor):
            work = values if values.dtype in (torch.float32, torch.float64) else values.float()
            return self._sampled(work[None], order, fill)[0].to(values.dtype)
        planes = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
        tensor = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float64))
        warped = self._sampled(tensor[None], order, fill)[0].numpy()
        warped = warped[0] if values.ndim == 2 else np.moveaxis(warped, 0, -1)
        if values.dtype == np.bool_:
            return np.asarray(warped.astype(np.float32) >= 0.5)
        if np.issubdtype(values.dtype, np.integer):
            info = np.iinfo(values.dtype)
            warped = np.clip(np.rint(warped), info.min, info.max)
        return np.asarray(warped.astype(values.dtype))

    def _sampled(self, batch: torch.Tensor, order: int, fill: Fill) -> torch.Tensor:
        turn = torch.tensor([self.angle], dtype=torch.float64)
        shift, centre = (self.dy, self.dx), (self.centre_y, self.centre_x)
        theta = sources(turn, shift, centre, batch.shape[-2:], self.scale)
        grid = F.affine_grid(theta, list(batch.shape), align_corners=False).to(batch)
        padding = "zeros" if fill == "zero" else "border"
        return F.grid_sample(batch, grid, _MODES[order], padding, align_corners=False)


STAY = Motion()


def rotation(degrees: float) -> Array:
    """The matrix that turns a vector (y, x) clockwise as seen on screen: (2, 2)."""
    radians = np.deg2rad(degrees)
    return np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])


def sources(
    degrees: torch.Tensor,
    shift: tuple[float, float],
    pivot: tuple[float, float],
    shape: tuple[int, ...] | torch.Size,
    scale: float = 1.0,
) -> torch.Tensor:
    """Where target pixels read from, as `affine_grid`'s matrices: (N, 2, 3), float64.

    Pixel x of n lies at (2 x + 1) / n - 1 there, and target q reads the scaled source
    R^-1 (q - shift - pivot) + pivot.
    """
    height, width = shape
    radians = torch.deg2rad(degrees)
    cos, sin = radians.cos(), radians.sin()
    pivot_y, pivot_x = (2 * p + 1 - n for p, n in zip(pivot, shape, strict=True))
    shift_y, shift_x = 2 * shift[0], 2 * shift[1]
    back_x, back_y = -(shift_x + pivot_x), -(shift_y + pivot_y)
    row_x = (cos, sin * (height / width), (cos * back_x + sin * back_y + pivot_x) / width)
    row_y = (-sin * (width / height), cos, (cos * back_y - sin * back_x + pivot_y) / height)
    theta = torch.stack([torch.stack(row, dim=-1) for row in (row_x, row_y)], dim=1) / scale
    theta[..., 2] += 1 / scale - 1
    return theta


class Patch(NamedTuple):
    """What lands on a window of the background.

    Attributes:
        window: Where on the background, inside it.
        values: (h, w, C) float64, the donor in the background's native values.
        inside: (h, w) bool, the donor's mask.
        known: (h, w) bool, where the donor's image reaches.
    """

    window: Rectangle
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
    window = _window(mask, motion, margin, background.shape)
    places, limit = _places(window, motion), np.array(mask.shape) - 1
    known = _within(places, limit)
    part = _reach(places, limit)
    planes = in_values_of(donor[part.slices], background, full_scale(donor))
    places_in_part = places - np.array([part.top, part.left])[:, None, None]
    if motion.copies:
        last = np.array(planes.shape[:2])[:, None, None] - 1
        rows, columns = np.clip(np.rint(places_in_part).astype(int), 0, last)
        values = planes[rows, columns]
    else:
        spline = [
            ndimage.map_coordinates(plane, places_in_part, order=3, mode="mirror")
            for plane in np.moveaxis(planes, -1, 0)
        ]
        values = np.stack(spline, -1)
    return Patch(window, values, _cover(mask, places), known)


def landed_mask(mask: Array, motion: Motion, shape: tuple[int, ...]) -> Array:
    """The donor's mask (H, W) bool, not empty, where it lands on a background of `shape`."""
    window = _window(mask, motion, 0, shape)
    placed = np.zeros(shape[:2], dtype=bool)
    placed[window.slices] = _cover(mask, _places(window, motion))
    return placed


def _places(window: Rectangle, motion: Motion) -> Array:
    """Where on the donor the pixels of a window come from: (2, h, w)."""
    size = (window.height, window.width)
    grid = np.indices(size).reshape(2, -1).T + np.array([window.top, window.left])
    return motion.back(grid.astype(np.float64)).T.reshape(2, *size)


def _reach(places: Array, limit: Array) -> Rectangle:
    """The part of the donor that sampling at places (2, h, w) needs."""
    low = np.clip(np.floor(places.min((1, 2))).astype(int) - _SPLINE, 0, limit)
    high = np.clip(np.ceil(places.max((1, 2))).astype(int) + _SPLINE, 0, limit) + 1
    return Rectangle(*map(int, (*low, *high)))


def _within(places: Array, limit: Array) -> Array:
    """(h, w) bool, whether places (2, h, w) lie on an image whose last pixel is `limit`."""
    return np.asarray(((places > -0.5) & (places < limit[:, None, None] + 0.5)).all(0))


def _cover(mask: Array, places: Array) -> Array:
    """(h, w) bool, the mask at places (2, h, w); a stroke that would vanish is kept."""
    limit = np.array(mask.shape) - 1
    reach = _reach(places, limit)
    part, corner = mask[reach.slices].astype(np.float64), np.array([reach.top, reach.left])
    # The outer half of a border pixel is beyond the grid, and as much a part of the mask.
    inner = np.clip(places, 0, limit[:, None, None]) - corner[:, None, None]
    cover = ndimage.map_coordinates(part, inner, order=1) * _within(places, limit)
    inside = cover >= 0.5 - 1e-6
    return np.asarray(inside if inside.any() else cover > 1e-6)


def _window(mask: Array, motion: Motion, margin: int, shape: tuple[int, ...]) -> Rectangle:
    """The part of an image of `shape` where a mask lands, and a margin; at least one pixel."""
    box = Rectangle.around(mask)
    ends = [(y, x) for y in (box.top, box.bottom - 1) for x in (box.left, box.right - 1)]
    corners = motion.onto(np.array(ends, dtype=np.float64))
    low = np.floor(corners.min(0)).astype(int) - margin
    high = np.ceil(corners.max(0)).astype(int) + margin + 1
    limit = np.array(shape[:2])
    start = np.clip(low, 0, limit - 1)
    return Rectangle(*map(int, (*start, *np.clip(high, start + 1, limit))))
