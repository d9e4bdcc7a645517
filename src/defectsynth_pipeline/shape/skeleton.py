"""Thin shapes as trees of strokes: a skeleton path with a radius at every point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
from scipy.spatial import Delaunay, QhullError

from defectsynth_pipeline.shape.geometry import skeleton_and_radii
from defectsynth_pipeline.shape.strokes import Branch, Stroke, StrokeTree, draw

_NEIGHBOUR = 1.5
_GAP_COST = 1e-3
"""A path over a gap counts this much of its length, so that main paths are drawn ones."""


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
