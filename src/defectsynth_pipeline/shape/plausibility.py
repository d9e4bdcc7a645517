"""Does a generated mask look like the base masks: area, width, reach, number of parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from defectsynth_pipeline.shape.geometry import Measures


@dataclass(frozen=True)
class Bounds:
    """Ranges (low, high) seen in the base masks of one type.

    Area has no tolerance, the others are widened by it.
    """

    area: tuple[int, int]
    width: tuple[float, float]
    reach: tuple[float, float]
    parts: int
    tolerance: float


def bounds_of(measures: Sequence[Measures], tolerance: float) -> Bounds:
    """Ranges of at least one base mask; `tolerance` 0.25 widens them by a quarter."""
    areas = [measure.area for measure in measures]
    widths = [measure.width for measure in measures]
    reaches = [measure.reach for measure in measures]
    most = max(measure.parts for measure in measures)
    return Bounds(
        area=(min(areas), max(areas)),
        width=(min(widths) / (1 + tolerance), max(widths) * (1 + tolerance)),
        reach=(min(reaches) / (1 + tolerance), max(reaches) * (1 + tolerance)),
        parts=max(most, int(most * (1 + tolerance))),
        tolerance=tolerance,
    )


def why_implausible(measured: Measures, bounds: Bounds, parents: Sequence[Measures] = ()) -> str:
    """Name the first figure out of range: "area", "width", "reach" or "parts"; "" if none is.

    Where `parents` are given, the width is judged against theirs: cracks of one type may differ
    tenfold in width, and a mask between two thin ones has to be thin.
    """
    low, high = bounds.width
    if parents:
        widths, factor = [parent.width for parent in parents], 1 + bounds.tolerance
        low, high = min(widths) / factor, max(widths) * factor
    if not bounds.area[0] <= measured.area <= bounds.area[1]:
        return "area"
    if not low <= measured.width <= high:
        return "width"
    if not bounds.reach[0] <= measured.reach <= bounds.reach[1]:
        return "reach"
    return "parts" if measured.parts > bounds.parts else ""
