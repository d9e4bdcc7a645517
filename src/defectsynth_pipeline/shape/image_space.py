"""Image-space interpolation (Sec. III-C) of compact shapes, in two estimators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.shape.geometry import (
    EIGHT,
    Measures,
    half_turn,
    measure,
    top_pixels,
)
from defectsynth_pipeline.shape.variation import ROUND, Warp, rotate

_GRID = 160
"""Fields of larger shapes are blended on a grid of about this side and enlarged linearly."""
_MAX_PARTS = 24


@dataclass(frozen=True)
class Blob:
    """One part of a mask: a signed distance field about its centroid.

    A part that the frame cuts off goes on beyond it, or blends would round it off there.

    Attributes:
        values: Signed distances (h, w) in pixels, positive inside.
        origin: Offset (row, column) of `values[0, 0]` from the centroid.
        measures: Figures of the part; its centroid is in the frame of the image.
        thickness: Largest distance inside.
    """

    values: np.ndarray
    origin: np.ndarray
    measures: Measures
    thickness: float

    @property
    def extent(self) -> np.ndarray:
        """Offsets [[top, left], [bottom, right]] of the part from its centroid, pixels."""
        return np.stack([self.origin + 2, self.origin + np.array(self.values.shape) - 3])

    def at(self, offsets: np.ndarray) -> np.ndarray:
        """Signed distance at offsets (..., 2) from the centroid, continued beyond the field."""
        places = np.moveaxis(offsets - self.origin, -1, 0)
        limits = np.array(self.values.shape).reshape(2, *[1] * (places.ndim - 1)) - 1
        held = np.clip(places, 0, limits)
        beyond = np.sqrt(((places - held) ** 2).sum(axis=0))
        return np.asarray(ndimage.map_coordinates(self.values, held, order=1) - beyond)


@dataclass(frozen=True)
class Shape:
    """A whole mask as blobs, the largest first."""

    blobs: tuple[Blob, ...]
    measures: Measures

    @property
    def at_frame(self) -> bool:
        """Whether it lies on the frame of the image."""
        return any(self.measures.contact)


def shape_of(mask: np.ndarray, measures: Measures, *, goes_on: bool = True) -> Shape:
    """Split a nonempty mask (H, W) into blobs; beyond 24 parts it stays in one.

    Args:
        mask: Of bool.
        measures: Its figures.
        goes_on: Whether what the frame cuts off goes on beyond it.
    """
    labels, count = ndimage.label(mask, EIGHT)
    parts = [mask] if count > _MAX_PARTS else [labels == label for label in range(1, count + 1)]
    whole = len(parts) == 1
    blobs = [_blob(part, measures if whole else measure(part), goes_on) for part in parts]
    blobs.sort(key=lambda blob: -blob.measures.area)
    return Shape(tuple(blobs), measures)


def interpolate_distance(
    first: Shape, second: Shape, alpha: float, size: tuple[int, int], warp: Warp
) -> np.ndarray:
    """Blend signed distance fields of centroid- and axis-aligned shapes.

    Position, direction and area are interpolated by themselves: the blended field is cut where
    the mask has exactly the interpolated area. Masks of several parts are matched part by part.

    Args:
        first: Shape at alpha 0.
        second: Shape at alpha 1.
        alpha: Position between the two, in [0, 1].
        size: (height, width) of the mask.
        warp: Further change about the interpolated position.

    Returns:
        Nonempty mask (height, width) of bool.
    """
    near, far, share = (first, second, alpha) if alpha < 0.5 else (second, first, 1 - alpha)
    area = (1 - share) * near.measures.area + share * far.measures.area
    matches = _matches(near, far)
    totals = [
        (1 - share) * one.measures.area + share * (two or one).measures.area for one, two in matches
    ]
    factor = area / sum(totals) * warp.scale**2
    centres = [np.array(shape.measures.centroid) for shape in (near, far)]
    centre = (1 - share) * centres[0] + share * centres[1]
    mask = np.zeros(size, dtype=bool)
    for (one, two), total in zip(matches, totals, strict=True):
        offset = np.array(one.measures.centroid) - centres[0]
        if two is not None:
            other = np.array(two.measures.centroid) - centres[1]
            offset = (1 - share) * offset + share * other
        place = centre + warp.shift + rotate(offset, warp.rotation) * warp.scale
        free = not (near.at_frame or far.at_frame)
        _draw_pair(
            mask, (one, two or one), share, place=place, area=total * factor, warp=warp, free=free
        )
    return mask


def _blob(mask: np.ndarray, measures: Measures, goes_on: bool) -> Blob:
    box, far = Rectangle.around(mask), max(mask.shape) // 2
    top, bottom, left, right = (far * (goes_on and share > 0) for share in measures.contact)
    crop = np.pad(np.pad(mask[box.slices], ((top, bottom), (left, right)), mode="edge"), 2)
    inside = ndimage.distance_transform_edt(crop)
    outside = ndimage.distance_transform_edt(~crop)
    values = np.where(crop, inside - 0.5, 0.5 - outside).astype(np.float32)
    start = np.array([box.top - top - 2, box.left - left - 2], dtype=float)
    return Blob(values, start - measures.centroid, measures, float(values.max()))


def _matches(near: Shape, far: Shape) -> list[tuple[Blob, Blob | None]]:
    """Pair each part of `near` with the part of `far` at the most similar place, if any."""

    def features(shape: Shape) -> np.ndarray:
        centres = np.array([blob.measures.centroid for blob in shape.blobs])
        areas = np.log([[blob.measures.area] for blob in shape.blobs])
        return np.hstack([(centres - shape.measures.centroid) / shape.measures.reach, areas / 4])

    cost = ((features(near)[:, None] - features(far)) ** 2).sum(axis=2)
    pairs: dict[int, int] = dict(zip(*linear_sum_assignment(cost), strict=True))
    return [
        (blob, far.blobs[pairs[index]] if index in pairs else None)
        for index, blob in enumerate(near.blobs)
    ]


def _draw_pair(
    mask: np.ndarray,
    pair: tuple[Blob, Blob],
    share: float,
    *,
    place: np.ndarray,
    area: float,
    warp: Warp,
    free: bool,
) -> None:
    """Set the `area` highest pixels of the blended field of two parts around `place`."""
    near, far = pair
    extent = ((1 - share) * near.extent + share * far.extent) * warp.scale
    frame = np.array(mask.shape)
    if free and (extent[1] - extent[0] < frame - 1).all():
        place = np.clip(place, -extent[0], frame - 1 - extent[1])
    radius = float(np.hypot(*np.abs(extent).max(axis=0))) * 1.2 + 3
    low = np.clip(np.floor(place - radius), 0, frame - 1).astype(int)
    high = np.clip(np.ceil(place + radius), low, frame - 1).astype(int)
    shape = high - low + 1
    step = max(1, int(shape.max()) // _GRID) if min(near.thickness, far.thickness) > 8 else 1
    axes = [
        np.linspace(low[axis], high[axis], max(int(shape[axis]) // step, 2))
        if step > 1
        else np.arange(low[axis], high[axis] + 1)
        for axis in (0, 1)
    ]
    offsets = warp.backward(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) - place)
    field = _blended(near, far, share, offsets)
    if step > 1:
        field = ndimage.zoom(field, shape / np.array(field.shape), order=1)
    mask[low[0] : high[0] + 1, low[1] : high[1] + 1] |= _one_part(field, round(area))


def _blended(near: Blob, far: Blob, share: float, offsets: np.ndarray) -> np.ndarray:
    """Mixed signed distances of two parts that were brought to the interpolated size and axis.

    Long parts are turned to the interpolated direction and stretched along both main axes, round
    ones only scaled: fields of unequal sizes would blend into pointed or blunted shapes.
    """
    if share == 0 or far is near:
        return near.at(offsets)
    long = min(near.measures.elongation, far.measures.elongation) >= ROUND
    turn = half_turn(far.measures.angle - near.measures.angle) if long else 0.0
    start = near.measures.angle
    frame = rotate(offsets, -(start + share * turn))
    target = _lengths(near, long) ** (1 - share) * _lengths(far, long) ** share
    mixed = np.zeros(offsets.shape[:-1])
    for part, weight, angle in ((near, 1 - share, start), (far, share, start + turn)):
        factor = _lengths(part, long) / target
        mixed += weight * part.at(rotate(frame * factor, angle)) / np.sqrt(factor.prod())
    return mixed


def _lengths(part: Blob, long: bool) -> np.ndarray:
    """Size (across, along) the main axis; the same for both where the shape has no direction."""
    across_along = part.measures.axes[::-1]
    return np.array(across_along) if long else np.full(2, np.sqrt(part.measures.area))


def _one_part(field: np.ndarray, area: int) -> np.ndarray:
    """The highest pixels of a field, in one connected part if a few cuts can do it."""
    chosen = top_pixels(field, area)
    for _ in range(3):
        labels, count = ndimage.label(chosen, EIGHT)
        if count < 2:
            break
        largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
        field = np.where(chosen & (labels != largest), -np.inf, field)
        chosen = top_pixels(field, area)
    return chosen


def interpolate_coordinates(
    first: np.ndarray, second: np.ndarray, alpha: float, size: tuple[int, int]
) -> np.ndarray:
    """The paper's estimator: weighted average of coordinates, gaps filled, rasterised.

    Args:
        first: Coordinates (K, n, 2) at alpha 0 from `ordered_coordinates`.
        second: The same at alpha 1; resampled to equal length.
        alpha: Position between the two, in [0, 1].
        size: (height, width) of the mask.
    """
    chunks = max(first.shape[0], second.shape[0])
    across = max(first.shape[1], second.shape[1])
    one, two = (_stretched(points, chunks, across) for points in (first, second))
    centred_one, centred_two = one - one.mean((0, 1)), two - two.mean((0, 1))
    turned = centred_two[::-1, ::-1]
    if ((centred_one - turned) ** 2).sum() < ((centred_one - centred_two) ** 2).sum():
        two = two[::-1, ::-1]
    points = [((1 - alpha) * one + alpha * two).reshape(-1, 2)]
    for axis in (0, 1):
        points += _inserted(one, two, alpha, axis)
    pixels = np.rint(np.concatenate(points)).astype(int)
    pixels = pixels[((pixels >= 0) & (pixels < size)).all(axis=1)]
    mask = np.zeros(np.add(size, 2), dtype=bool)
    mask[pixels[:, 0] + 1, pixels[:, 1] + 1] = True
    return np.asarray(ndimage.binary_closing(mask, EIGHT)[1:-1, 1:-1])


def ordered_coordinates(mask: np.ndarray, path: np.ndarray) -> np.ndarray:
    """White-pixel coordinates in an order that follows the shape.

    The paper orders them by raster, which pairs unrelated pixels (comb teeth, bridges). Here they
    go along the skeleton's path (N, 2), and within each step along it from one side to the other.

    Returns:
        Coordinates (K, n, 2): K steps along the path, n places across it.
    """
    pixels = np.argwhere(mask).astype(float)
    arc, side = _along(pixels, path)
    order = np.argsort(arc, kind="stable")
    chunks = max(min(len(path), len(pixels) // 2), 1)
    groups = np.array_split(order, chunks)
    across = max(len(group) for group in groups)
    rows = []
    for group in groups:
        columns = pixels[group[np.argsort(side[group], kind="stable")]].T
        own, at = np.arange(len(group)), np.linspace(0, len(group) - 1, across)
        rows.append(np.stack([np.interp(at, own, column) for column in columns], axis=1))
    return np.stack(rows)


def _along(pixels: np.ndarray, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest index of a path (N, 2) and signed distance to its side, for each pixel."""
    if len(path) == 1:
        return pixels[:, 0], pixels[:, 1]
    gaps = ((pixels[:, None] - path[None]) ** 2).sum(axis=2)
    nearest = gaps.argmin(axis=1)
    tangents = np.gradient(path, axis=0)
    tangents /= np.maximum(np.hypot(*tangents.T), 1e-9)[:, None]
    away, tangent = pixels - path[nearest], tangents[nearest]
    ahead = (away * tangent).sum(axis=1)
    return nearest + ahead, tangent[:, 0] * away[:, 1] - tangent[:, 1] * away[:, 0]


def _stretched(points: np.ndarray, chunks: int, across: int) -> np.ndarray:
    """Resample (K, n, 2) linearly to (chunks, across, 2)."""
    factors = (chunks / points.shape[0], across / points.shape[1], 1)
    return np.asarray(ndimage.zoom(points, factors, order=1))


def _inserted(one: np.ndarray, two: np.ndarray, alpha: float, axis: int) -> list[np.ndarray]:
    """Points between neighbours that lie further apart than a pixel but touched in a parent."""
    a, b, c, d = (
        np.take(points, range(begin, points.shape[axis] - 1 + begin), axis=axis)
        for points in (one, two)
        for begin in (0, 1)
    )
    touching = np.minimum(((a - b) ** 2).sum(-1), ((c - d) ** 2).sum(-1)) <= 8
    start = ((1 - alpha) * a + alpha * c)[touching]
    end = ((1 - alpha) * b + alpha * d)[touching]
    return [start + share * (end - start) for share in (0.25, 0.5, 0.75)]
