"""A real defect's texture set on another background, in the shape of another mask.

The start of "exemplar" composition: real grain that a small network cannot draw, to which the
network's change is then added. It is a transfer by itself too, without any network. Our own
addition; the paper has nothing like it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from defectsynth_pipeline.appearance.alignment import Alignment, apply
from defectsynth_pipeline.appearance.compose import feather, smooth_fill
from defectsynth_pipeline.errors import InputError

Array = np.ndarray
_STROKE = 0.08  # of the crop's side
_NEIGHBOURS = 2  # an average over more of them loses a third of a thin scratch's contrast
_DARKEST = 0.02  # brightness below which relative changes are no longer scaled down


def exemplar_start(
    background_crop: Array,
    real_crop: Array,
    real_mask: Array,
    alignment: Alignment,
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
        alignment: Real mask to `mask` on this grid (`Alignment.scaled` if found on another).
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
    base, real = _planes(background_crop), _planes(real_crop)
    weight = feather(mask, collar)[..., None]
    around = _surroundings(real, real_mask)
    residual = real - around
    surface = _surroundings(base, mask)
    if relative:
        residual = residual / np.maximum(around, _DARKEST)
    stroke = _thin(real_mask, mask)
    transfer = _along_strokes if stroke else _continued
    moved = transfer(residual, real_mask, alignment, mask)
    if relative:
        moved = moved * np.maximum(surface, _DARKEST)
    # A wide defect brings its own grain; a stroke is an average that lies over the surface's.
    start = base + weight * (moved if stroke else surface + moved - base)
    clipped = np.where(weight > 0, start.clip(0, 1), base)
    return clipped.reshape(background_crop.shape)


def _surroundings(image: Array, mask: Array) -> Array:
    """The image with the masked part replaced by a smooth continuation of what surrounds it."""
    gap = ndimage.distance_transform_edt(~mask)
    depth = float(ndimage.distance_transform_edt(mask).max()) if mask.any() else 0.0
    outside = (gap > 2).astype(np.float64)
    return smooth_fill(image, outside, 2.0 + depth) if outside.any() else image


def _continued(residual: Array, real_mask: Array, alignment: Alignment, mask: Array) -> Array:
    """The aligned residual, mirrored at the real mask's border to where that mask does not reach.

    The nearest border value stands in where the mirror image is not in the mask either.
    """
    moved = apply(alignment, residual, order=1, fill="edge")
    known = apply(alignment, real_mask.astype(np.float64)) >= 0.5
    if not known.any():
        return _along_strokes(residual, real_mask, alignment, mask)
    core = ndimage.binary_erosion(known)  # pixels at the border are half surface
    known = core if core.any() else known
    nearest = np.stack(ndimage.distance_transform_edt(~known, return_indices=True)[1])
    limits = np.array(known.shape).reshape(2, 1, 1) - 1
    mirrored = np.clip(2 * nearest - np.indices(known.shape), 0, limits)
    source = np.where(known[mirrored[0], mirrored[1]], mirrored, nearest)
    return moved[source[0], source[1]]


def _along_strokes(residual: Array, real_mask: Array, alignment: Alignment, mask: Array) -> Array:
    """Residuals matched pixel by pixel for thin strokes, which never overlap well.

    The aligned real stroke is stretched to the new one's spread; a pixel then takes the mean of
    the two real ones nearest to it in place and in relative depth (edge to edge, core to core).
    """
    near = ndimage.binary_dilation(mask, iterations=4)
    here, there = np.argwhere(near), np.argwhere(real_mask)
    goal, moved = np.argwhere(mask), alignment.moved(there.astype(np.float64))
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


def _planes(image: Array) -> Array:
    values = np.asarray(image, dtype=np.float64)
    return values[..., None] if values.ndim == 2 else values
