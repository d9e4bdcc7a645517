"""Whether two images show one defect of one part, or two parts that look alike."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from defectsynth_pipeline.corpora.files import read_bytes
from defectsynth_pipeline.corpora.thumbnails import grey
from defectsynth_pipeline.imaging.codec import decode_image, decode_mask

MIN_CORRELATION = 0.85  # of what sets two images apart from their category
MIN_TEXTURE = 0.8  # correlation of the texture in and around the defect
MIN_OVERLAP = 0.6  # intersection over union of the two defects
_SIDE = 512  # px, longer side at which defects are compared
_REACH = 12  # px of it by which two shots may be apart
_PIXELS = 4000  # of a defect that are compared
# Two shots may be a cell of the thumbnail apart; the other four shifts follow by symmetry.
_SHIFTS = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))
_BLOCK = 512


def details(pictures: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What each picture has of its own.

    The category's mean picture is taken away in any brightness and contrast and, to first order,
    under any slight shift: these four directions do not tell which part it is.

    Args:
        pictures: Thumbnails, float32 (n, s, s).
        mean: Mean thumbnail of the category, (s, s).

    Returns:
        float32 (n, s, s), smoothed, without what is wider than an eighth of the picture.
    """
    known = [np.ones_like(mean), mean, np.gradient(mean, axis=0), np.gradient(mean, axis=1)]
    basis, _ = np.linalg.qr(np.stack([direction.ravel() for direction in known], axis=1))
    flat = pictures.reshape(len(pictures), -1)
    own = (flat - (flat @ basis) @ basis.T).reshape(pictures.shape)
    fine = ndimage.gaussian_filter(own, (0, 1, 1))
    return np.asarray(fine - ndimage.gaussian_filter(own, (0, 8, 8)), dtype=np.float32)


def alike(own: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of pictures, first before second, that correlate at the same place or a cell apart.

    Args:
        own: From `details`, (n, s, s).
    """
    still = _unit(own)
    pairs: set[tuple[int, int]] = set()
    for shift in _SHIFTS:
        moved = _unit(np.roll(own, shift, axis=(1, 2)))
        for start in range(0, len(own), _BLOCK):
            near = still[start : start + _BLOCK] @ moved.T >= MIN_CORRELATION
            for one, other in zip(*np.nonzero(near), strict=True):
                first, second = sorted((int(one) + start, int(other)))
                if first != second:
                    pairs.add((first, second))
    return sorted(pairs)


class View:
    """One image and its mask, read when asked for and brought to `_SIDE`."""

    def __init__(self, root: Path, image: str, mask: str) -> None:
        self._root, self._image, self._mask = root, image, mask

    @cached_property
    def mask(self) -> np.ndarray:
        """The defect, bool (h, w), longer side at most `_SIDE`."""
        path = self._root / self._mask
        picture = Image.fromarray(decode_mask(read_bytes(self._root, path), path))
        scale = min(1.0, _SIDE / max(picture.size))
        return np.array(
            picture.resize((round(picture.width * scale), round(picture.height * scale)))
        )

    def texture(self, shape: tuple[int, ...]) -> np.ndarray:
        """The image without its finest and its coarse parts, float32 of the given shape."""
        path = self._root / self._image
        picture = grey(decode_image(read_bytes(self._root, path), path))
        values = np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BOX))
        fine = ndimage.gaussian_filter(values, 1)
        return np.asarray(fine - ndimage.gaussian_filter(values, 6))


def same_defect(one: View, other: View) -> bool:
    """Whether two views show one defect: one shape and one texture at one place.

    The place may differ by `_REACH`. Two parts in one pose agree in their edges, but hardly in
    the inner texture of a defect.
    """
    first, second = one.mask, other.mask
    if first.shape != second.shape:
        resized = Image.fromarray(second).resize((first.shape[1], first.shape[0]))
        second = np.array(resized)
    if not _could_overlap(first, second):
        return False
    region = ndimage.binary_dilation(first, iterations=4)
    rows, columns = np.nonzero(region)
    step = max(1, len(rows) // _PIXELS)
    rows, columns = rows[::step], columns[::step]
    here = _centred(one.texture(first.shape)[rows, columns])
    padded = np.pad(other.texture(first.shape), _REACH, mode="reflect")
    best, place = -1.0, (0, 0)
    for dy in range(2 * _REACH + 1):
        for dx in range(2 * _REACH + 1):
            match = float(here @ _centred(padded[rows + dy, columns + dx]))
            if match > best:
                best, place = match, (dy, dx)
    moved = np.pad(second, _REACH)[place[0] :, place[1] :][: first.shape[0], : first.shape[1]]
    return best >= MIN_TEXTURE and _overlap(first, moved) >= MIN_OVERLAP


def _could_overlap(first: np.ndarray, second: np.ndarray) -> bool:
    """Cheap: areas of one order, and centres no farther apart than a shift allows."""
    areas = sorted((int(first.sum()), int(second.sum())))
    if areas[0] < MIN_OVERLAP * areas[1]:
        return False
    span = [np.ptp(axis) for axis in np.nonzero(first)]
    apart = [
        np.mean(a) - np.mean(b) for a, b in zip(first.nonzero(), second.nonzero(), strict=True)
    ]
    return all(abs(d) <= _REACH + s / 2 for d, s in zip(apart, span, strict=True))


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))


def _centred(values: np.ndarray) -> np.ndarray:
    values = values - values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6))


def _unit(own: np.ndarray) -> np.ndarray:
    """Every second cell (they are smooth enough), as rows of length 1."""
    rows = own[:, ::2, ::2].reshape(len(own), -1)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))
