"""Square windows on a large radiograph: around its defects, and away from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_SIDE = 128
MAX_GOOD_PER_RADIOGRAPH = 16


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, `bottom` and `right` exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def extent(self) -> int:
        """Longer side in pixels."""
        return max(self.bottom - self.top, self.right - self.left)

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def holds(self, other: Box) -> bool:
        """Whether the other box lies wholly inside."""
        return self.union(other) == self

    def meets(self, other: Box) -> bool:
        """Whether the two share a pixel."""
        rows = min(self.bottom, other.bottom) > max(self.top, other.top)
        return rows and min(self.right, other.right) > max(self.left, other.left)

    def square(self, side: int, height: int, width: int) -> Box:
        """The square of a given side around this box, moved into an image of height x width."""
        side = min(side, height, width)
        top = min(max((self.top + self.bottom - side) // 2, 0), height - side)
        left = min(max((self.left + self.right - side) // 2, 0), width - side)
        return Box(top, left, top + side, left + side)


def window_side(defects: list[list[Box]], context: float, short: int) -> int:
    """The one side of all windows of a corpus, so that defects keep their relative size.

    It is the 90th percentile of the extents of the defect clusters times the context, a multiple
    of 8, at least 128 px and at most the short side of the smallest radiograph. A cluster joins
    defects that are closer than the median extent of the radiograph's defects.

    Args:
        defects: Boxes of the defects of each radiograph.
        context: Side of a window over the extent of a cluster, at least 1.
        short: Short side of the smallest radiograph in pixels.

    Returns:
        Side in pixels.
    """
    extents = [extent for boxes in defects for extent in _cluster_extents(boxes)]
    wanted = context * float(np.percentile(extents, 90)) if extents else MIN_SIDE
    return min(max(8 * round(wanted / 8), MIN_SIDE), short)


def defect_windows(boxes: list[Box], side: int, height: int, width: int) -> list[Box]:
    """Few squares of one side that together show every defect whole.

    Args:
        boxes: Bounding boxes of the defects.
        side: Side of the windows in pixels.
        height: Height of the radiograph.
        width: Width of the radiograph.

    Returns:
        Windows inside the image; larger than `side` only where a single defect is.
    """
    left_to_right = sorted(boxes, key=lambda box: (box.left, box.top))
    windows: list[Box] = []
    while left_to_right:
        cluster = left_to_right[0]
        for box in left_to_right[1:]:
            joined = cluster.union(box)
            cluster = joined if joined.extent <= 0.8 * side else cluster
        window = cluster.square(max(side, round(1.2 * cluster.extent)), height, width)
        windows.append(window)
        seen = {id(box) for box in left_to_right if window.holds(box) or cluster.holds(box)}
        left_to_right = [box for box in left_to_right if id(box) not in seen]
    return windows


def good_windows(
    boxes: list[Box], defective: list[Box], side: int, height: int, width: int
) -> list[Box]:
    """Squares without any defect on the line of the weld; elsewhere only if it has none.

    Args:
        boxes: Bounding boxes of the defects.
        defective: The defective windows, which tell where the weld runs.
        side: Side of the windows in pixels.
        height: Height of the radiograph.
        width: Width of the radiograph.

    Returns:
        At most 16 windows that neither overlap each other nor touch a defect.
    """
    step = max(side // 4, 1)
    flat = width >= height
    line = np.median([(box.top if flat else box.left) for box in defective])
    places = [
        Box(top, left, top + side, left + side)
        for top in _positions(int(line) if flat else 0, step, height - side)
        for left in _positions(0 if flat else int(line), step, width - side)
    ]
    offsets = {box: abs((box.top if flat else box.left) - line) for box in places}
    places.sort(key=lambda box: offsets[box])
    margin = max(side // 32, 1)
    chosen: list[Box] = []
    for place in places:
        wider = Box(
            place.top - margin, place.left - margin, place.bottom + margin, place.right + margin
        )
        if not any(wider.meets(box) for box in boxes) and not any(map(place.meets, chosen)):
            chosen.append(place)
    # The bare plate beside the weld is no background for a weld defect.
    on_weld = [box for box in chosen if offsets[box] <= side / 4]
    return (on_weld or chosen)[:MAX_GOOD_PER_RADIOGRAPH]


def _positions(start: int, step: int, last: int) -> list[int]:
    return [*range(start % step, last + 1, step)]


def _cluster_extents(boxes: list[Box]) -> list[int]:
    """Extents of defects joined with neighbours closer than their own median extent."""
    reach = round(float(np.median([box.extent for box in boxes])))
    clusters: list[Box] = []
    for box in sorted(boxes, key=lambda box: box.left):
        wider = Box(box.top - reach, box.left - reach, box.bottom + reach, box.right + reach)
        joined = box
        for other in [cluster for cluster in clusters if wider.meets(cluster)]:
            clusters.remove(other)
            joined = joined.union(other)
        clusters.append(joined)
    return [cluster.extent for cluster in clusters]
