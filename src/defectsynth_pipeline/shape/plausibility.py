"""Does a generated mask look like the base masks: area, width, reach, number of parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from defectsynth_pipeline.shape.geometry import Measures


@dataclass(frozen=True)
class Bounds:
    """Ranges (low, high) seen in the base masks of one type.

    Area has no tolerance. Width is judged against the two parents, as base masks of one type may
    differ tenfold in width; reach and parts against the whole type.
    """

    area: tuple[int, int]
    reach: tuple[float, float]
    parts: int
    tolerance: float


def bounds_of(measures: Sequence[Measures], tolerance: float) -> Bounds:
    """Ranges of at least one base mask; `tolerance` 0.25 widens reach by a quarter."""
    areas = [measure.area for measure in measures]
    reaches = [measure.reach for measure in measures]
    most = max(measure.parts for measure in measures)
    return Bounds(
        area=(min(areas), max(areas)),
        reach=(min(reaches) / (1 + tolerance), max(reaches) * (1 + tolerance)),
        parts=max(most, int(most * (1 + tolerance))),
        tolerance=tolerance,
    )


def why_implausible(measured: Measures, bounds: Bounds, parents: Sequence[Measures]) -> str:
    """Name the first figure out of range: "area", "width", "reach" or "parts"; "" if none is."""
    widths = [parent.width for parent in parents]
    factor = 1 + bounds.tolerance
    if not bounds.area[0] <= measured.area <= bounds.area[1]:
        return "area"
    if not min(widths) / factor <= measured.width <= max(widths) * factor:
        return "width"
    if not bounds.reach[0] <= measured.reach <= bounds.reach[1]:
        return "reach"
    return "parts" if measured.parts > bounds.parts else ""
