"""Where a real defect lies best on a generated mask (paper Sec. III-D, Eq. 5-6).

Eq. 5 asks for the translation and rotation of the real mask that maximise its overlap with the
generated one. One FFT cross-correlation gives the overlap at every whole-pixel translation, so
only the rotations are searched; they are sampled in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.motion import STAY, Motion, sources
from defectsynth_pipeline.imaging.rectangle import Rectangle

Array = np.ndarray
_TIE = 2e-3  # overlaps nearer than this are equal


@dataclass(frozen=True)
class Alignment:
    """How one mask lies best on another.

    Attributes:
        motion: On a pixel grid of the masks' size, about the pixel at the real mask's centroid.
        overlap: Eq. 5's sum for this motion, in pixels.
        identity_overlap: The same sum for the masks as they were given; never above `overlap`.
    """

    motion: Motion
    overlap: float
    identity_overlap: float


def align(real_mask: Array, generated_mask: Array, angles: int = 72) -> Alignment:
    """Solve Eq. 5 over all whole-pixel translations and `angles` equally spaced rotations.

    Translations that move the real mask's centroid out of the image are not considered.
    Among equal overlaps the one whose centroid comes nearest to the generated mask's wins, so that
    a small real defect ends in the middle of a large mask.

    Args:
        real_mask: (H, W) bool, or soft in [0, 1].
        generated_mask: (H, W) bool, or soft in [0, 1].
        angles: Rotations tried; 1 means translation only.

    Returns:
        The best alignment; the identity when nothing beats it or a mask is empty.

    Raises:
        InputError: The masks differ in shape or are not two-dimensional.

    Examples:
        >>> import numpy as np
        >>> real, made = np.zeros((32, 32), bool), np.zeros((32, 32), bool)
        >>> real[4:8, 4:12] = made[20:24, 18:26] = True
        >>> found = align(real, made, angles=1)
        >>> found.motion.dy, found.motion.dx, found.overlap
        (16.0, 14.0, 32.0)
    """
    if real_mask.ndim != 2 or real_mask.shape != generated_mask.shape:
        raise InputError(
            "masks to align must be two-dimensional and of one shape",
            value=f"{real_mask.shape} and {generated_mask.shape}",
            remedy="bring both masks to the same resolution first",
        )
    real, generated = real_mask.astype(np.float32), generated_mask.astype(np.float32)
    before = float((real * generated).sum(dtype=np.float64))
    if not real.any() or not generated.any():
        return Alignment(STAY, before, before)
    centre = tuple(round(c) for c in _centroid(real))
    motion = Motion(*_search(real, generated, centre, angles), *map(float, centre))
    overlap = float((motion.warp(real.astype(np.float64)) * generated).sum())
    if overlap < before * (1 - 1e-9):
        return Alignment(Motion(0.0, 0.0, 0.0, *map(float, centre)), before, before)
    return Alignment(motion, max(overlap, before), before)


def _search(
    real: Array, generated: Array, centre: tuple[int, ...], angles: int
) -> tuple[float, float, float]:
    """The best (angle, dy, dx) by cross-correlation with the generated mask's bounding box."""
    rows, columns = np.nonzero(real)
    reach = int(np.ceil(np.hypot(rows - centre[0], columns - centre[1]).max())) + 1
    canvas = np.pad(real, reach)[
        centre[0] : centre[0] + 2 * reach + 1, centre[1] : centre[1] + 2 * reach + 1
    ]  # as large as any rotation needs, the pivot in its middle
    box = Rectangle.around(generated)
    target, corner = np.ascontiguousarray(generated[box.slices]), (box.top, box.left)
    first = [place - middle + reach for place, middle in zip(corner, centre, strict=True)]
    lags = [
        _lags(2 * reach + 1, *axis) for axis in zip(target.shape, corner, real.shape, strict=True)
    ]
    scores = _correlations(canvas, target, lags, angles)
    turn, row, column = (scores >= scores.max() * (1 - _TIE)).nonzero().numpy().T
    dy, dx = lags[0][row] + first[0], lags[1][column] + first[1]
    radians = turn * (2 * np.pi / angles)
    distance = _drift(real, generated, centre, radians, np.stack([dy, dx])).round(2)
    nearest = np.nonzero(distance == distance.min())[0]
    best = nearest[np.minimum(turn[nearest], angles - turn[nearest]).argmin()]
    return 360.0 * float(turn[best]) / angles, float(dy[best]), float(dx[best])


def _drift(
    real: Array, generated: Array, centre: tuple[int, ...], radians: Array, shifts: Array
) -> Array:
    """Squared distance of the masks' centroids after each of N turns and (2, N) shifts."""
    (y, x), goal = np.subtract(_centroid(real), centre), _centroid(generated)
    cos, sin = np.cos(radians), np.sin(radians)
    down = sin * x + cos * y + centre[0] + shifts[0] - goal[0]
    right = cos * x - sin * y + centre[1] + shifts[1] - goal[1]
    return np.asarray(down**2 + right**2)


def _lags(canvas: int, target: int, corner: int, limit: int) -> Array:
    """Lags of the canvas on the target that keep the canvas's middle in the image."""
    start = -corner - canvas // 2
    return np.arange(max(start, 1 - canvas), min(start + limit, target))


def _correlations(canvas: Array, target: Array, lags: list[Array], angles: int) -> torch.Tensor:
    """Overlap at every (angle, lag down, lag right), float32."""
    # The shortest transform that mixes none of the lags with another one that overlaps.
    size = [
        next_fast_len(int(max(n - lag[0], len(canvas) + lag[-1])), real=True)
        for n, lag in zip(target.shape, lags, strict=True)
    ]
    half = angles % 2 == 0
    spectra = torch.fft.rfft2(_rotations(canvas, angles, angles // 2 if half else angles), s=size)
    late = np.pad(target, [(-int(lag[0]), 0) for lag in lags])  # so that the first lag comes first
    goal = torch.fft.rfft2(torch.from_numpy(late), s=size)
    products = [spectra.conj() * goal]
    if half:  # half a turn more is the canvas mirrored in its middle: a conjugate and a phase
        down, right = torch.fft.fftfreq(size[0]), torch.fft.rfftfreq(size[1])
        turn = 2 * torch.pi * (len(canvas) - 1) * (down[:, None] + right[None, :])
        products.append(spectra * (goal * torch.polar(torch.ones_like(turn), turn)))
    rows = torch.fft.ifft(torch.cat(products), dim=1)[:, : len(lags[0])]
    return torch.fft.irfft(rows, n=size[1])[:, :, : len(lags[1])]


def _rotations(canvas: Array, angles: int, count: int) -> torch.Tensor:
    """The first `count` of `angles` turns of a canvas (S, S) about its middle: (count, S, S)."""
    turns = torch.arange(count, dtype=torch.float64) * (360.0 / angles)
    middle = (len(canvas) - 1) / 2
    theta = sources(turns, (0.0, 0.0), (middle, middle), canvas.shape).float()
    grid = F.affine_grid(theta, [count, 1, *canvas.shape], align_corners=False)
    images = torch.from_numpy(np.ascontiguousarray(canvas)).expand(count, 1, -1, -1)
    rotated = F.grid_sample(images, grid, align_corners=False)[:, 0]
    # Resampling changes a small mask's area by some percent, which must not decide the angle.
    return rotated * (float(canvas.sum()) / rotated.sum((1, 2), keepdim=True))


def _centroid(mask: Array) -> tuple[float, float]:
    rows, columns = mask.sum(1, dtype=np.float64), mask.sum(0, dtype=np.float64)
    total = rows.sum()
    return (
        float(rows @ np.arange(len(rows)) / total),
        float(columns @ np.arange(len(columns)) / total),
    )
