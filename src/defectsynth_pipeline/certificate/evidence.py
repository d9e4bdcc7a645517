"""What a defect shows of itself: features and pixels in its mask and around it.

One estimator for real, synthetic and null images, which needs no clean copy of the image: the
encoder's features, their mean and their strongest response in the mask and their mean on a ring
around it, the colour and the grain of the mask, of its core and of its edge against the ring's, and
the mask's size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from defectsynth_pipeline.appearance.framing import roi_frame
from defectsynth_pipeline.features.encoder import CHANNELS, STRIDES, feature_levels
from defectsynth_pipeline.imaging.pixels import as_planes, crop, full_scale, resize, ring, solid
from defectsynth_pipeline.imaging.rectangle import Rectangle

SIDE = 224  # px, of the window as the encoder sees it
CONTEXT = 2.0  # the window's side as a multiple of the mask's extent
LEAST = 96  # native px, smallest window
LEVELS = (4, 8, 16, 32)
TURNS = 8  # quarter turns, plain and mirrored
_RING = (4, 28)  # px of `SIDE` around the mask
_NATIVE_RING, _EDGE = (3, 10), (0, 2)  # px around the mask, for colour and grain
_CORE = 0.6  # of the greatest depth in a mask: what lies deeper
_STRONGEST = 4  # patches
_AT_ONCE = 16
_EPS = 1e-3
PIXELS = 20  # columns of the evidence that are measured in pixels, the last ones
WIDTH = 3 * sum(CHANNELS[STRIDES.index(stride)] for stride in LEVELS) + PIXELS


class Seen(NamedTuple):
    """A window around a defect.

    Attributes:
        part: float32 (h, w, 3) in [0, 1], native pixels.
        inside: (h, w) bool, its mask.
    """

    part: np.ndarray
    inside: np.ndarray


def window_of(mask: np.ndarray, wide: float = 1.0) -> Rectangle:
    """The window that is looked at, a square around a mask (H, W) that is not empty.

    Args:
        mask: (H, W) bool.
        wide: Its side as a multiple of the usual one.
    """
    return roi_frame(mask, CONTEXT * wide, round(LEAST * wide))


def see(image: np.ndarray, mask: np.ndarray, wide: float = 1.0) -> Seen:
    """Cut the window around a defect.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3).
        mask: (H, W) bool.
        wide: As in `window_of`.

    Raises:
        InputError: The mask is empty.
    """
    window = window_of(mask, wide)
    part = as_planes(crop(image, window), 3) / full_scale(image)
    return Seen(part.astype(np.float32), crop(mask, window))


def turned(array: np.ndarray, number: int) -> np.ndarray:
    """One of `TURNS` views of an array (h, w, ...); 0 is itself."""
    view = np.rot90(array, number % 4)
    return view if number < 4 else view[:, ::-1]


def evidence(windows: Iterable[Seen], turns: Sequence[int] = (0,)) -> np.ndarray:
    """Return what windows show, float32 (N * len(turns), WIDTH): all views of one, then the next.

    Args:
        windows: Of N defects.
        turns: Views of each, as `turned` numbers them.
    """
    rows = [np.zeros((0, WIDTH), np.float32)]
    views = (view for seen in windows for view in _views(seen, turns))
    while some := list(islice(views, _AT_ONCE)):
        *planes, pixels = (np.stack(part) for part in zip(*some, strict=True))
        rows.append(np.concatenate([_features(*planes), pixels], 1))
    return np.concatenate(rows).astype(np.float32)


def _views(seen: Seen, turns: Sequence[int]) -> Iterator[tuple[np.ndarray, ...]]:
    """Picture uint8 and weights of mask and ring at `SIDE`, and what turning does not change."""
    size = (SIDE, SIDE)
    shown = np.rint(resize(seen.part, size) * 255).clip(0, 255).astype(np.uint8)
    cover = resize(seen.inside, size)
    around = ring(solid(cover), _RING).astype(np.float32)
    pixels = _pixels(seen)
    for turn in turns:
        yield (*(turned(array, turn) for array in (shown, cover, around)), pixels)


def _features(shown: np.ndarray, cover: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Mean and strongest response in the mask, mean on the ring, of every level."""
    levels = feature_levels(shown, LEVELS)
    pooled = [*_means(levels, cover), *_strongest(levels, cover), *_means(levels, around)]
    return np.asarray(torch.cat(pooled, 1).numpy())


def _strongest(levels: list[Tensor], cover: np.ndarray) -> Iterator[Tensor]:
    for level in levels:
        share = _shares(cover, level)
        share = share / share.amax((2, 3), keepdim=True).clamp_min(_EPS)
        count = min(_STRONGEST, level.shape[2] * level.shape[3])
        yield (level * share.sqrt()).flatten(2).topk(count, 2).values.mean(2)


def _means(levels: list[Tensor], weights: np.ndarray) -> Iterator[Tensor]:
    for level in levels:
        share = _shares(weights, level)
        yield (level * share).sum((2, 3)) / share.sum((2, 3)).clamp_min(1e-6)


def _shares(weights: np.ndarray, level: Tensor) -> Tensor:
    """Share of each patch that is covered, (B, 1, h, w)."""
    return F.interpolate(torch.from_numpy(weights)[:, None], level.shape[2:], mode="area")


def _pixels(seen: Seen) -> np.ndarray:
    """Colour and grain of the mask, its core and its edge against the ring, and size: (PIXELS,)."""
    part, inside = seen
    around, edge = ring(inside, _NATIVE_RING), ring(inside, _EDGE)
    around = around if around.any() else ~inside
    around = around if around.any() else inside
    edge = edge if edge.any() else inside
    depth = ndimage.distance_transform_edt(inside)
    core, thickness, area = depth >= _CORE * depth.max(), depth.max(), inside.sum()
    grey, beside = part.mean(-1), part[around].mean(0)
    differs = np.abs(grey - beside.mean())
    return np.array(
        [
            *(part[inside].mean(0) - beside),
            *(part[edge].mean(0) - beside),
            *(part[core].mean(0) - beside),
            *(differs[where].mean() for where in (inside, edge, core)),
            *(np.log(grey[where].std() + _EPS) for where in (inside, edge, around)),
            grey[core].mean() - grey[edge].mean(),
            np.log(area),
            np.log(thickness),
            thickness**2 / area,
            np.log(len(part)),
        ]
    )
