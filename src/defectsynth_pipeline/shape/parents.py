"""The base masks of one defect type, read once, and what a mask like them has to look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.shape.branching import Crack, is_branching
from defectsynth_pipeline.shape.geometry import Measures, fit_area, measure
from defectsynth_pipeline.shape.image_space import Shape, ordered_coordinates, shape_of
from defectsynth_pipeline.shape.strokes import stroke_tree
from defectsynth_pipeline.shape.variation import Spread, spread_of

TYPE = ["category", "defect_type"]


def base_types(samples: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """Yield ((category, defect type), its base rows) in sorted order; nothing else is read."""
    rows = samples[(samples["split"] == "base") & (samples["mask"] != "")]
    for (category, defect_type), group in rows.groupby(TYPE, sort=True):
        yield (str(category), str(defect_type)), group.sort_values("sample_id")


def mask_size(rows: pd.DataFrame, max_side: int) -> tuple[int, int]:
    """(height, width) of the masks of a type: the commonest of its samples, at most `max_side`."""
    sizes = rows.groupby(["height", "width"]).size()
    height, width = sizes.index[int(np.argmax(sizes.to_numpy()))]
    scale = min(1.0, max_side / max(height, width))
    return max(round(height * scale), 1), max(round(width * scale), 1)


def load_masks(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Read the masks (H, W) of some samples, by sample id; an empty one is an InputError."""
    masks = {}
    for sample in each_sample(rows):
        mask = masks[sample.sample_id] = sample.mask()
        if not mask.any():
            raise InputError(
                "the mask of a defect is empty",
                file=f"{sample.root}/{sample.mask_file}",
                value=sample.sample_id,
                remedy="mark the defect in the mask, or move the image to the good ones",
            )
    return masks


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
        parts=int(most * (1 + tolerance)),
        tolerance=tolerance,
    )


def why_implausible(
    measured: Measures, bounds: Bounds, parents: Sequence[Measures], branching: bool
) -> str:
    """Name the first figure out of range: "area", "width", "reach", "parts" or "frame"; or "".

    The width of branching masks is judged against their parents': cracks of one type may differ
    tenfold in width, and a mask between two thin ones has to be thin. What the frame cuts off in
    all parents, it cuts off here: a broken edge has no gap before the edge.
    """
    low, high = bounds.width
    if branching:
        widths, factor = [parent.width for parent in parents], 1 + bounds.tolerance
        low, high = min(widths) / factor, max(widths) * factor
    if not bounds.area[0] <= measured.area <= bounds.area[1]:
        return "area"
    if not low <= measured.width <= high:
        return "width"
    if not bounds.reach[0] <= measured.reach <= bounds.reach[1]:
        return "reach"
    if measured.parts > bounds.parts:
        return "parts"
    sides = zip(measured.contact, *(parent.contact for parent in parents), strict=True)
    loose = any(own * (1 + bounds.tolerance) < min(of_parents) for own, *of_parents in sides)
    return "frame" if loose and not branching else ""


class Parents:
    """Base masks of one (category, defect type) at one size.

    Args:
        rows: Base rows of the type.
        size: (height, width) that all masks are brought to.
        tolerance: Of the plausibility check.
    """

    def __init__(self, rows: pd.DataFrame, size: tuple[int, int], tolerance: float) -> None:
        self.size = size
        self._tolerance = tolerance
        self.masks: dict[str, np.ndarray] = {
            sample: fit_area(mask, size) for sample, mask in load_masks(rows).items()
        }
        self._shapes: dict[str, Shape] = {}
        self._cracks: dict[str, Crack] = {}
        self._coordinates: dict[str, np.ndarray] = {}

    @cached_property
    def measures(self) -> dict[str, Measures]:
        """Figures of every base mask, by sample id."""
        return {sample: measure(mask) for sample, mask in self.masks.items()}

    @cached_property
    def bounds(self) -> Bounds:
        """What a plausible mask of this type looks like."""
        return bounds_of(list(self.measures.values()), self._tolerance)

    @cached_property
    def spread(self) -> Spread:
        """How the base masks differ in place, direction and size."""
        return spread_of(list(self.measures.values()))

    @cached_property
    def branching(self) -> bool:
        """See `is_branching`."""
        return is_branching(self.measures.values())

    def shape(self, sample: str) -> Shape:
        """Signed distance fields of one base mask."""
        if sample not in self._shapes:
            self._shapes[sample] = shape_of(self.masks[sample], self.measures[sample])
        return self._shapes[sample]

    def crack(self, sample: str) -> Crack:
        """Strokes of one base mask."""
        if sample not in self._cracks:
            tree = stroke_tree(self.masks[sample])
            self._cracks[sample] = Crack(tree, self.measures[sample])
        return self._cracks[sample]

    def coordinates(self, sample: str) -> np.ndarray:
        """Ordered coordinates (K, n, 2) of one base mask."""
        if sample not in self._coordinates:
            path = np.concatenate([stroke.points for stroke in self.crack(sample).tree.strokes])
            self._coordinates[sample] = ordered_coordinates(self.masks[sample], path)
        return self._coordinates[sample]
