"""Is it labelled? What differs from a known background, against what a mask says.

The background of a synthetic image is known exactly; that of a real one is estimated, by the
texture of its surroundings. Both are measured alike, and a synthetic mask may be as wrong as the
worst real one of its type, no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from defectsynth_pipeline.appearance.framing import roi_frame
from defectsynth_pipeline.corpora.inpainting import remove_defect
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.imaging.pixels import as_planes, crop, full_scale

NEAR = 3  # px around a mask in which a measured region may lie
_CONTEXT, _LEAST = 2.0, 64  # of the window that is measured in
_THIN = 3.0  # px, half width below which a mask is a stroke, judged along its skeleton
_GRAINS = 2.0  # how many times the background's grain a pixel must change by
_LEVELS = 1.5  # and how many levels of 255, at least
_HALF = 0.5  # of the change in the mask: where a region is taken to end
_SPECK = 0.05  # of the largest piece: smaller ones are no part of a region
_SMOOTH = 0.7  # px


@dataclass(frozen=True)
class Label:
    """How well a mask fits what changed.

    Attributes:
        covered: Share of the mask, of a thin one's skeleton, that changed by more than grain.
        overlap: IoU of the mask and `region`.
        region: (H, W) bool, what changed by half as much as the mask did, in or near the mask.
    """

    covered: float
    overlap: float
    region: np.ndarray


def measure_label(image: np.ndarray, background: np.ndarray, mask: np.ndarray) -> Label:
    """Compare what changed with a mask.

    Args:
        image: (H, W) or (H, W, 3), uint8 or uint16.
        background: The same without the defect.
        mask: (H, W) bool, not empty.

    Examples:
        >>> import numpy as np
        >>> good = np.random.default_rng(0).integers(150, 160, (64, 64, 3), dtype=np.uint8)
        >>> mask = np.zeros((64, 64), bool)
        >>> mask[24:40, 24:40] = True
        >>> bad = np.where(mask[..., None], good // 3, good)
        >>> label = measure_label(bad, good, mask)
        >>> label.covered, label.overlap > 0.8
        (1.0, True)
    """
    window = roi_frame(mask, _CONTEXT, _LEAST)
    white = full_scale(background)
    shown, clean = (as_planes(crop(a, window), 3) / white for a in (image, background))
    inside = crop(mask, window)
    change = np.abs(ndimage.gaussian_filter(shown - clean, (_SMOOTH, _SMOOTH, 0))).max(-1)
    least = max(_GRAINS * _grain(clean), _LEVELS / 255)
    depth = ndimage.distance_transform_edt(inside).max()
    core = skeletonize(inside) if depth < _THIN else inside
    edge = max(least, _HALF * float(np.median(change[core])))
    here, there = window.shared(mask.shape)
    region = np.zeros_like(mask)
    region[here] = _region(change > edge, inside)[there]
    either = (region | mask).sum()
    return Label(
        covered=float((change > least)[core].mean()),
        overlap=float((region & mask).sum() / either),
        region=region,
    )


def real_label(sample: Sample) -> Label:
    """Measure a real defect's own label, against its surroundings continued in its mask."""
    image, mask = sample.image(), sample.mask()
    window = roi_frame(mask, 2 * _CONTEXT, 2 * _LEAST)
    part, inside = crop(image, window), crop(mask, window)
    return measure_label(part, remove_defect(part, inside), inside)


def _grain(clean: np.ndarray) -> float:
    """Robust deviation of a picture (h, w, 3) from its own smooth, as `change` would see it."""
    fine = ndimage.gaussian_filter(clean, (_SMOOTH, _SMOOTH, 0))
    rough = np.abs(fine - ndimage.gaussian_filter(clean, (2.0, 2.0, 0))).max(-1)
    return float(np.median(rough)) / 0.67


def _region(changed: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Pieces of what changed that touch a mask, within its reach, without specks."""
    near = ndimage.distance_transform_edt(~inside) <= NEAR
    closed = ndimage.binary_closing(changed & near) & near
    pieces, count = ndimage.label(closed, np.ones((3, 3)))
    if not count:
        return np.zeros_like(inside)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    touching = np.bincount(pieces.ravel(), inside.ravel(), minlength=count + 1) > 0
    touching[0] = False
    kept = touching & (sizes >= max(2, _SPECK * sizes[touching].max(initial=0)))
    return np.asarray(kept[pieces])
