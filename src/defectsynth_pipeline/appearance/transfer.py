"""A real defect's texture set on another background, in the shape of another mask.

The start of "exemplar" composition: real grain that a small network cannot draw, to which the
network's change is then added. It is a transfer by itself too, without any network. Our own
addition; the paper has nothing like it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from defectsynth_pipeline.appearance.alignment import Alignment, align
from defectsynth_pipeline.appearance.framing import frame_like
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.motion import Motion
from defectsynth_pipeline.imaging.pixels import as_planes, continued, crop, feather, solid, to_float
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.options import SynthesisOptions

Array = np.ndarray
_STROKE = 0.08  # of the crop's side
_NEIGHBOURS = 2  # an average over more of them loses a third of a thin scratch's contrast
_DARKEST = 0.02  # brightness below which relative changes are no longer scaled down


class Exemplar(NamedTuple):
    """A real defect laid on a mask.

    Attributes:
        window: Where on the real image, of the frame's native size.
        cover: (r, r) in [0, 1], the mask in its frame.
        alignment: Real mask onto `cover`, on the r x r grid (Eq. 5).
        start: (side, side, 3) in [0, 1] at native size, from `exemplar_start`, or None.
    """

    window: Rectangle
    cover: Array
    alignment: Alignment
    start: Array | None


def set_on(
    background: Array,
    mask: Array,
    frame: Rectangle,
    real: Array,
    real_mask: Array,
    resolution: int,
    options: SynthesisOptions,
    *,
    full: bool,
    start: bool,
) -> Exemplar:
    """Lay a real defect on a mask, and set it on the background there if a start is asked for.

    Args:
        background: (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, placed.
        frame: Its window; an oblong one (full framing) is made square for the start.
        real: (H', W', 3) in [0, 1], an image with a real defect.
        real_mask: (H', W') bool, where it is.
        resolution: r, side of the grid the masks are aligned on: that of the base model.
        options: Rotations tried, and how the start is composed.
        full: Whether whole images are framed, not windows around the masks.
        start: Whether to make the start.
    """
    window = Rectangle(0, 0, *real_mask.shape) if full else frame_like(frame, real_mask)
    cover = crop(mask, frame, resolution)
    alignment = align(crop(real_mask, window, resolution), cover, options.sae.angles)
    if not start:
        return Exemplar(window, cover, alignment, None)
    side = max(frame.width, frame.height)
    size = None if frame.width == frame.height else side
    made = exemplar_start(
        crop(to_float(background), frame, size),
        crop(real, window, size),
        solid(crop(real_mask, window, size)),
        alignment.motion.scaled(side / resolution),
        solid(crop(mask, frame, size)),
        relative=options.compose.relative,
        collar=options.compose.collar,
    )
    return Exemplar(window, cover, alignment, made)


def exemplar_start(
    background_crop: Array,
    real_crop: Array,
    real_mask: Array,
    motion: Motion,
    mask: Array,
    *,
    relative: bool = True,
    collar: float = 2.0,
) -> Array:
    """Compose an aligned real defect's residual on a background crop.

    The residual is the real crop minus its own surroundings, smoothly continued under the defect,
    so that the ring around the mask matches on both sides. Where the new mask is larger than the
    aligned real one, the real texture is continued by reflection at the real mask's border.

    Args:
        background_crop: (H, W) or (H, W, 3) in [0, 1], at the frame's native size.
        real_crop: The same shape, a real defect.
        real_mask: (H, W) bool, where it is.
        motion: Real mask to `mask` on this grid (`Motion.scaled` if found on another).
        mask: (H, W) bool, the new defect's shape.
        relative: Carry the residual as a share of the local brightness.
        collar: As in `compose`.

    Returns:
        float64, the background's shape; equal to it outside the mask's collar.

    Raises:
        InputError: Shapes differ or the real mask is empty.
    """
    shapes = {background_crop.shape[:2], real_crop.shape[:2], real_mask.shape, mask.shape}
    if len(shapes) > 1 or background_crop.ndim != real_crop.ndim or not real_mask.any():
        raise InputError(
            "an exemplar, its mask, the background and the new mask must share one size",
            value=f"{sorted(shapes)}, real mask {int(real_mask.sum())} pixels",
            remedy="crop all four with frames of one side, around masks that are not empty",
        )
    base, real = as_planes(background_crop), as_planes(real_crop)
    weight = feather(mask, collar)[..., None]
    around = continued(real, real_mask)
    residual = real - around
    surface = continued(base, mask)
    if relative:
        residual = residual / np.maximum(around, _DARKEST)
    stroke = _thin(real_mask, mask)
    transfer = _along_strokes if stroke else _mirrored
    moved = transfer(residual, real_mask, motion, mask)
    if relative:
        moved = moved * np.maximum(surface, _DARKEST)
    # A wide defect brings its own grain; a stroke is an average that lies over the surface's.
    start = base + weight * (moved if stroke else surface + moved - base)
    clipped = np.where(weight > 0, start.clip(0, 1), base)
    return clipped.reshape(background_crop.shape)


def _mirrored(residual: Array, real_mask: Array, motion: Motion, mask: Array) -> Array:
    """The aligned residual, mirrored at the real mask's border to where that mask does not reach.

    The nearest border value stands in where the mirror image is not in the mask either.
    """
    moved = motion.warp(residual, fill="edge")
    known = motion.warp(real_mask.astype(np.float64)) >= 0.5
    if not known.any():
        return _along_strokes(residual, real_mask, motion, mask)
    core = ndimage.binary_erosion(known)  # pixels at the border are half surface
    known = core if core.any() else known
    nearest = np.stack(ndimage.distance_transform_edt(~known, return_indices=True)[1])
    limits = np.array(known.shape).reshape(2, 1, 1) - 1
    mirrored = np.clip(2 * nearest - np.indices(known.shape), 0, limits)
    source = np.where(known[mirrored[0], mirrored[1]], mirrored, nearest)
    return moved[source[0], source[1]]


def _along_strokes(residual: Array, real_mask: Array, motion: Motion, mask: Array) -> Array:
    """Residuals matched pixel by pixel for thin strokes, which never overlap well.

    The aligned real stroke is stretched to the new one's spread; a pixel then takes the mean of
    the two real ones nearest to it in place and in relative depth (edge to edge, core to core).
    """
    near = ndimage.binary_dilation(mask, iterations=4)
    here, there = np.argwhere(near), np.argwhere(real_mask)
    goal, moved = np.argwhere(mask), motion.onto(there.astype(np.float64))
    stretch = np.clip((goal.std(0) + 1) / (moved.std(0) + 1), 1 / 3, 3)
    moved = (moved - moved.mean(0)) * stretch + goal.mean(0)
    depth = 4 * float(ndimage.distance_transform_edt(real_mask).max())
    tree = cKDTree(np.column_stack([moved, depth * _relative_depth(real_mask)[real_mask]]))
    count = min(len(there), _NEIGHBOURS)
    wanted = np.column_stack([here, depth * _relative_depth(mask)[near]])
    match = tree.query(wanted, k=range(1, count + 1))[1]
    result = np.zeros_like(residual)
    result[near] = residual[real_mask][match].mean(axis=1)
    return result


def _relative_depth(mask: Array) -> Array:
    """0 outside, 1 on the middle line of each part of the mask."""
    depth = ndimage.distance_transform_edt(mask)
    reach = 2 * int(np.ceil(depth.max())) + 1
    return np.asarray(depth / np.maximum(ndimage.maximum_filter(depth, size=reach), 1.0))


def _thin(*masks: Array) -> bool:
    """Whether one of the masks is a stroke: nowhere thicker than a share of the crop."""
    widths = [2 * ndimage.distance_transform_edt(mask).max() for mask in masks if mask.any()]
    return bool(min(widths) < _STROKE * masks[0].shape[0])
