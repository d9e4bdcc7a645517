"""Where on a part a defect goes: the part in the mask's parent is laid over the background's.

A mask made on one photograph is off the part on another where the part lies differently. Part and
ground are told apart by the ground's colour at the image border; textures, which have no ground,
keep the mask where it was made. Our own addition; the paper composes whole images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from defectsynth_pipeline.appearance.alignment import Alignment, align, apply
from defectsynth_pipeline.appearance.framing import resize

GRID = 96  # pixels per side at which parts are laid over one another
COARSE = 72  # rotations over the whole circle
FINE_SPAN = 6.0  # degrees around the best coarse rotation


@dataclass(frozen=True)
class Placement:
    """A turn about (centre_y, centre_x) and a shift, in pixels of the background."""

    angle: float
    dy: float
    dx: float
    centre_y: float
    centre_x: float

    def apply(self, mask: np.ndarray) -> np.ndarray:
        """Return the mask (H, W) bool moved to its place."""
        if self.angle == 0 and self.dy == 0 and self.dx == 0:
            return mask
        centre = (self.centre_y, self.centre_x)
        alignment = Alignment(self.angle, self.dy, self.dx, 0.0, 0.0, centre)
        moved: np.ndarray = apply(alignment, mask.astype(np.float32)) >= 0.5
        return moved


STAY = Placement(0.0, 0.0, 0.0, 0.0, 0.0)


def part_map(image: np.ndarray) -> np.ndarray | None:
    """Return how unlike the ground each place is, in [0, 1], or None for a texture.

    Args:
        image: (H, W, 3) in [0, 1].

    Returns:
        (GRID, GRID), the image's longer side filling the grid and the rest 0, so that turning
        the grid turns the part.
    """
    scale = GRID / max(image.shape[:2])
    small = resize(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)))
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    ground = np.median(border, 0)
    spread = np.median(np.abs(border - ground).max(-1))
    distance = np.abs(small - ground).max(-1)
    part = ndimage.binary_opening(distance > max(4 * spread, 0.06))
    inner, outer = part[8:-8, 8:-8].mean(), _border(part).mean()
    if not 0.02 < part.mean() < 0.85 or outer > 0.25 or inner < 2 * outer:
        return None
    strength = max(float(np.quantile(distance[part], 0.9)), 1e-6)
    soft = np.clip(distance / strength, 0, 1) * ndimage.binary_dilation(part)
    return np.pad(soft, [(0, GRID - size) for size in soft.shape])


def _border(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def lay_over(parent: np.ndarray, background: np.ndarray) -> Alignment:
    """Return the motion that brings the parent's part onto the background's, on the GRID.

    Args:
        parent: (GRID, GRID) from `part_map`.
        background: (GRID, GRID) from `part_map`.
    """
    coarse = align(parent, background, angles=COARSE)
    best, best_overlap = coarse, coarse.overlap
    for offset in np.arange(-FINE_SPAN, FINE_SPAN + 0.1, 1.0):
        turned = replace(coarse, angle=(coarse.angle + offset) % 360)
        moved = apply(turned, parent)
        shift = align(moved, background, angles=1)
        if shift.overlap > best_overlap:
            best = replace(turned, dy=turned.dy + shift.dy, dx=turned.dx + shift.dx)
            best_overlap = shift.overlap
    return replace(best, overlap=best_overlap)


def place_on_part(mask: np.ndarray, parent_mask: np.ndarray, over: Alignment) -> Placement:
    """Return the placement that puts a mask where its parent's defect lies on the laid-over part.

    Args:
        mask: (H, W) bool, at the background's size.
        parent_mask: (H, W) bool, the real defect it stems from, at the background's size.
        over: From `lay_over`.
    """
    where = np.array(ndimage.center_of_mass(parent_mask))
    goal = over.scaled(max(mask.shape) / GRID).moved(where[None])[0]
    own = np.array(ndimage.center_of_mass(mask))
    shift = goal - own
    return Placement(over.angle, float(shift[0]), float(shift[1]), float(own[0]), float(own[1]))


def share_on_part(mask: np.ndarray, part: np.ndarray) -> float:
    """Return the share of the mask (H, W) that lies on a part given by `part_map`."""
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return 0.0
    grid = (rows * GRID // max(mask.shape), columns * GRID // max(mask.shape))
    return float((ndimage.binary_dilation(part > 0.15))[grid].mean())
