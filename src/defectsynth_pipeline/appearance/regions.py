"""A row of the plan as arrays: the background, the placed mask, and an aligned real defect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.appearance.alignment import Alignment
from defectsynth_pipeline.appearance.crops import framing_sizes
from defectsynth_pipeline.appearance.framing import roi_frame
from defectsynth_pipeline.appearance.transfer import set_on
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.motion import Motion
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.imaging.resizing import crop, fit_mask
from defectsynth_pipeline.imaging.values import to_float
from defectsynth_pipeline.options import FramingOptions, SynthesisOptions


@dataclass(frozen=True)
class Region:
    """What one image is made from.

    Attributes:
        row: Its row of the plan.
        background: Native image, (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, placed.
        frame: The window the model sees.
        seen: (r, r, 3) in [0, 1], the background in the window.
        cover: (r, r) in [0, 1], the mask in the window.
        reference: (r, r, 3) in [0, 1], a real defect in a window of the same native size.
        alignment: Real mask onto `cover`, on the r x r grid (Eq. 5).
        start: (side, side, 3) in [0, 1] at native size for exemplar composition, else None.
    """

    row: Any
    background: np.ndarray
    mask: np.ndarray
    frame: Rectangle
    seen: np.ndarray
    cover: np.ndarray
    reference: np.ndarray
    alignment: Alignment
    start: np.ndarray | None


def region_maker(
    samples: pd.DataFrame,
    masks: ImageSet,
    base: BaseModel,
    options: SynthesisOptions,
    framing: FramingOptions,
) -> Callable[[Any], Region]:
    """Return a function from a plan row to its `Region`; images read twice are kept."""
    by_id = {sample.sample_id: sample for sample in each_sample(samples)}
    resolution, minimum = framing_sizes(base, framing)

    @lru_cache(maxsize=64)
    def picture(sample: Sample) -> np.ndarray:
        return sample.image()

    @lru_cache(maxsize=64)
    def real(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        return to_float(sample.image()), sample.mask()

    def make(row: Any) -> Region:
        background = picture(by_id[row.background])
        generated = fit_mask(masks.array(row.mask, "mask"), background.shape[:2])
        placed = Motion.of(row._asdict()).warp(generated)
        mask = placed if placed.any() else generated
        frame = Rectangle(0, 0, *mask.shape)
        if framing.mode == "roi":
            frame = roi_frame(mask, mask.shape, framing.context, minimum)
        other, other_mask = real(by_id[row.reference])
        exemplar = set_on(
            background,
            mask,
            frame,
            other,
            other_mask,
            resolution,
            options,
            full=framing.mode == "full",
            start=options.compose.mode == "exemplar",
        )
        return Region(
            row=row,
            background=background,
            mask=mask,
            frame=frame,
            seen=crop(to_float(background), frame, resolution),
            cover=exemplar.cover,
            reference=crop(other, exemplar.window, resolution),
            alignment=exemplar.alignment,
            start=exemplar.start,
        )

    return make
