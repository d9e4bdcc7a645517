"""Thin shapes as trees of strokes: paths with a radius at every point, drawn and found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
from scipy.spatial import Delaunay, QhullError

from defectsynth_pipeline.shape.geometry import skeleton_and_radii

_SPARSE = 3
"""Discs of radius r are drawn every r / 3 points: the scallops stay below r / 18."""
_NEIGHBOUR = 1.5
_GAP_COST = 1e-3
"""A path over a gap counts this much of its length, so that main paths are drawn ones."""


@dataclass(frozen=True)
class Stroke:
    """A path of sub-pixel points (N, 2) as (row, column) about one pixel apart.

    `radii` (N,) are in pixels; 0 is a gap that is part of the path but not drawn.
    """

    points: np.ndarray
    radii: np.ndarray

    @property
    def area(self) -> float:
        """Approximate area in pixels."""
        steps = np.hypot(*np.diff(self.points, axis=0).T) if len(self.points) > 1 else np.ones(1)
        return float(2 * (self.radii[: len(steps)] * steps).sum())

    def scaled_width(self, factor: float) -> Stroke:
        """The same path with all radii multiplied; what was drawn stays drawn."""
        return replace(self, radii=self.radii * factor)


@dataclass(frozen=True)
class Branch:
    """Strokes that leave the main path together, at a fraction of its arc length."""

    at: float
    strokes: tuple[Stroke, ...]

    @property
    def area(self) -> float:
        """Approximate area in pixels."""
        return sum(stroke.area for stroke in self.strokes)


@dataclass(frozen=True)
class StrokeTree:
    """A whole mask: its longest path and everything that branches off."""

    main: Stroke
    branches: tuple[Branch, ...]

    @property
    def strokes(self) -> list[Stroke]:
        """All strokes, the main path first."""
        return [self.main, *(stroke for branch in self.branches for stroke in branch.strokes)]


def draw(strokes: Iterable[Stroke], height: int, width: int) -> np.ndarray:
    """Rasterise strokes as unions of discs; at least the pixel under each drawn point is set."""
    mask = np.zeros((height, width), dtype=bool)
    points, radii = _dense(list(strokes))
    _stamp(mask, points, np.zeros((1, 2), dtype=int), None)
    bucket = np.ceil(radii).astype(int)
    for size in np.unique(bucket):
        chosen = np.flatnonzero(bucket == size)[:: max(int(size) // _SPARSE, 1)]
        span = np.arange(-size, size + 1)
        offsets = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
        _stamp(mask, points[chosen], offsets, radii[chosen])
    return mask


def stroke_tree(mask: np.ndarray) -> StrokeTree:
    """Decompose a nonempty mask (H, W).

    The Euclidean minimum spanning tree of the skeleton's pixels joins fragments of one crack over
    their gaps; its diameter is the main path, the rest falls into branches. Radii are shifted by
    one constant so that drawing the tree gives the mask's stroke width back.
    """
    points, distances = skeleton_and_radii(mask)
    radii = distances - 0.5
    if len(points) == 1:
        return _calibrated(StrokeTree(Stroke(points.astype(float), radii), ()), mask)
    tree = _spanning_tree(points)
    first = int(np.argmax(dijkstra(tree, directed=False, indices=0)))
    depth, before = dijkstra(tree, directed=False, indices=first, return_predecessors=True)
    main, loose = _paths(depth, before, radii)
    steps = np.hypot(*np.diff(points[main], axis=0).T)
    arc = np.append(0, np.cumsum(steps))
    branches: dict[int, list[Stroke]] = {}
    for root, path in loose:
        branches.setdefault(root, []).append(_stroke(points, radii, path))
    position = {node: float(at) for node, at in zip(main, arc / max(arc[-1], 1.0), strict=True)}
    joined = tuple(Branch(position[root], tuple(found)) for root, found in branches.items())
    return _calibrated(StrokeTree(_stroke(points, radii, main), joined), mask)


def _dense(strokes: list[Stroke]) -> tuple[np.ndarray, np.ndarray]:
    """Drawn points of all strokes at half-pixel distance, in the order of the paths."""
    points, radii = [], []
    for stroke in strokes:
        where, size = stroke.points, stroke.radii
        if len(where) > 1:
            arc = np.append(0, np.cumsum(np.hypot(*np.diff(where, axis=0).T)))
            fine = np.linspace(0, arc[-1], 2 * int(np.ceil(arc[-1])) + 1)
            nearest = np.searchsorted((arc[1:] + arc[:-1]) / 2, fine)
            drawn = size[nearest] > 0
            where = np.stack([np.interp(fine, arc, column) for column in where.T], axis=1)
            size = np.interp(fine, arc, size) * drawn
        keep = size > 0
        points.append(where[keep])
        radii.append(size[keep])
    return np.concatenate(points), np.concatenate(radii)


def _stamp(
    mask: np.ndarray, points: np.ndarray, offsets: np.ndarray, radii: np.ndarray | None
) -> None:
    """Set the pixels at `offsets` of each point, within its radius where one is given."""
    pixels = np.rint(points).astype(int)[:, None] + offsets
    inside = ((pixels >= 0) & (pixels < mask.shape)).all(axis=2)
    if radii is not None:
        far = ((pixels - points[:, None]) ** 2).sum(axis=2)
        inside &= far <= (radii**2)[:, None]
    chosen = pixels[inside]
    mask[chosen[:, 0], chosen[:, 1]] = True


def _spanning_tree(points: np.ndarray) -> coo_matrix:
    """Euclidean minimum spanning tree of N >= 2 points as a sparse (N, N) matrix."""
    count = len(points)
    try:
        triangles = Delaunay(points, qhull_options="QJ Qbb").simplices
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])
    except QhullError:
        edges = np.stack(np.triu_indices(count, 1), axis=1)
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    lengths = np.hypot(*(points[edges[:, 0]] - points[edges[:, 1]]).T)
    tree = minimum_spanning_tree(coo_matrix((lengths, edges.T), shape=(count, count)))
    tree.data[tree.data > _NEIGHBOUR] *= _GAP_COST
    return tree


def _paths(
    depth: np.ndarray, before: np.ndarray, radii: np.ndarray
) -> tuple[list[int], list[tuple[int, list[int]]]]:
    """Long-path decomposition of a rooted tree: the main path, then (root on it, path) pairs."""
    owner = np.full(len(depth), -1)
    leaves = np.setdiff1d(np.arange(len(depth)), before[before >= 0])
    loose: list[tuple[int, list[int]]] = []
    main: list[int] = []
    for leaf in leaves[np.argsort(-depth[leaves], kind="stable")]:
        path, node = [], int(leaf)
        while node >= 0 and owner[node] < 0:
            path.append(node)
            node = int(before[node])
        if not main:
            main = path[::-1]
            owner[main] = main
            continue
        root = int(owner[node])
        owner[path] = root
        if depth[leaf] - depth[node] > radii[node] + 1:
            loose.append((root, [node, *path[::-1]]))
    return main, loose


def _stroke(points: np.ndarray, radii: np.ndarray, path: list[int]) -> Stroke:
    """Smooth the pixel staircase away and fill gaps with undrawn points."""
    where, size = points[path].astype(float), radii[path].astype(float)
    if len(path) > 2:
        size = gaussian_filter1d(size, 0.5, mode="nearest")
    parts_points, parts_radii = [where[:1]], [size[:1]]
    for index in range(1, len(path)):
        gap = float(np.hypot(*(where[index] - where[index - 1])))
        if gap > _NEIGHBOUR:
            share = np.linspace(0, 1, int(gap) + 1)[1:, None]
            between = where[index - 1] + share * (where[index] - where[index - 1])
            parts_points.append(between)
            parts_radii.append(np.zeros(len(between)))
        parts_points.append(where[index : index + 1])
        parts_radii.append(size[index : index + 1])
    smooth = np.concatenate(parts_points)
    if len(smooth) > 4:
        ends = smooth[[0, -1]]
        smooth = gaussian_filter1d(smooth, 0.7, axis=0, mode="nearest")
        smooth[[0, -1]] = ends
    return Stroke(smooth, np.concatenate(parts_radii))


def _calibrated(tree: StrokeTree, mask: np.ndarray) -> StrokeTree:
    """Shift all drawn radii by the constant that gives the mask's mean stroke width back."""
    low, high, width = -1.0, 1.0, float(skeleton_and_radii(mask)[1].mean())
    for _ in range(6):
        middle = (low + high) / 2
        drawn = draw([_widened(stroke, middle) for stroke in tree.strokes], *mask.shape)
        too_wide = skeleton_and_radii(drawn)[1].mean() > width
        low, high = (low, middle) if too_wide else (middle, high)
    shift = (low + high) / 2
    branches = tuple(
        Branch(branch.at, tuple(_widened(stroke, shift) for stroke in branch.strokes))
        for branch in tree.branches
    )
    return StrokeTree(_widened(tree.main, shift), branches)


def _widened(stroke: Stroke, shift: float) -> Stroke:
    return replace(
        stroke, radii=np.where(stroke.radii > 0, np.maximum(stroke.radii + shift, 0.05), 0.0)
    )
