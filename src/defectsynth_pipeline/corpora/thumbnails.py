"""Small grey pictures of images: what is compared where equal bytes say too little."""

from __future__ import annotations

import numpy as np
from PIL import Image

from defectsynth_pipeline.imaging.pixels import full_scale

SIDE = 64
MAX_DIFFERENCE = 1.5  # grey levels of 255, mean over the cells
MAX_SHARE = 0.25  # of the distance to the mean picture; two different parts have about 1.4
_COARSE = 8


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Means over the cells of a SIDE x SIDE grid, whatever the aspect of the image.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3).

    Returns:
        float16 (SIDE, SIDE), grey levels in [0, 255].
    """
    cells = grey(image).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(cells).astype(np.float16)


def grey(image: np.ndarray) -> Image.Image:
    """A uint8 or uint16 image as a float picture of grey levels in [0, 255]."""
    if image.dtype == np.uint8:
        return Image.fromarray(image).convert("L").convert("F")
    values = image.astype(np.float32) * (255 / full_scale(image))
    return Image.fromarray(values.mean(axis=2) if values.ndim == 3 else values)


def copies(first: np.ndarray, second: np.ndarray, mean: np.ndarray) -> list[tuple[int, int]]:
    """Pairs that show one photograph: equal, saved again as JPEG, or resized with averaging.

    Two photographs of parts on one fixture are alike too. So a pair must be closer than
    `MAX_DIFFERENCE`, and closer than `MAX_SHARE` of the way from the mean picture to the image:
    what sets this image apart from the others must be in both.

    Args:
        first: Thumbnails, (n, SIDE, SIDE).
        second: Thumbnails, (m, SIDE, SIDE).
        mean: Mean thumbnail of many images of the category, (SIDE, SIDE).

    Returns:
        Indices into `first` and `second`, in order of `second`.
    """
    if not len(first) or not len(second):
        return []
    fine = first.reshape(len(first), -1).astype(np.float32)
    coarse = _coarse(first)
    pairs: list[tuple[int, int]] = []
    for index, picture in enumerate(second.astype(np.float32)):
        # Means of cells differ by no more than the cells do, so nothing is lost here.
        near = np.abs(coarse - _coarse(picture[None])).mean(axis=1) <= MAX_DIFFERENCE
        candidates = np.flatnonzero(near)
        distance = np.abs(fine[candidates] - picture.ravel()).mean(axis=1)
        own = float(np.abs(picture - mean).mean())
        same = distance <= min(MAX_DIFFERENCE, MAX_SHARE * own)
        pairs += [(int(found), index) for found in candidates[same]]
    return pairs


def _coarse(pictures: np.ndarray) -> np.ndarray:
    cell = SIDE // _COARSE
    cells = pictures.astype(np.float32).reshape(len(pictures), _COARSE, cell, _COARSE, cell)
    return np.asarray(cells.mean(axis=(2, 4)).reshape(len(pictures), -1))
