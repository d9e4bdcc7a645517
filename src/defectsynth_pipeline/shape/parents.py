"""The base masks of one defect type, read once; what generating needs of them is cached."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.reading import load_mask
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.shape.branching import SLENDER, Crack
from defectsynth_pipeline.shape.coordinates import ordered_coordinates
from defectsynth_pipeline.shape.geometry import Measures, measure, resize_mask
from defectsynth_pipeline.shape.image_space import Shape, shape_of
from defectsynth_pipeline.shape.plausibility import Bounds, bounds_of
from defectsynth_pipeline.shape.skeleton import stroke_tree
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


def load_checked(sample: Any) -> np.ndarray:
    """Read the mask of one sample (a named tuple) and refuse an empty one."""
    mask = load_mask(sample)
    if not mask.any():
        raise InputError(
            "the mask of a defect is empty",
            file=f"{sample.root}/{sample.mask}",
            value=sample.sample_id,
            remedy="mark the defect in the mask, or move the image to the good ones",
        )
    return mask


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
            str(row.sample_id): resize_mask(load_checked(row), size[1], size[0])
            for row in rows.itertuples(index=False)
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
        """Whether the type is thin (cracks, scratches) rather than compact."""
        slender = [measured.slenderness for measured in self.measures.values()]
        return bool(np.median(slender) >= SLENDER)

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
