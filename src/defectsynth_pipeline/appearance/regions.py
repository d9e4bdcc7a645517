"""A row of the plan as arrays: the background, the placed mask, and an aligned real defect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.appearance.alignment import Alignment, align
from defectsynth_pipeline.appearance.crops import framing_sizes
from defectsynth_pipeline.appearance.framing import Frame, crop, full_frame, roi_frame
from defectsynth_pipeline.appearance.plan import fit_mask, placement_of
from defectsynth_pipeline.appearance.transfer import exemplar_start
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.corpora.reading import load_image, load_mask, to_float
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ComposeOptions, FramingOptions, SynthesisOptions


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
    frame: Frame
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
    index = samples.set_index("sample_id", drop=False)
    resolution, minimum = framing_sizes(base, framing)

    @lru_cache(maxsize=64)
    def picture(sample_id: str) -> np.ndarray:
        return load_image(index.loc[sample_id])

    @lru_cache(maxsize=64)
    def real(sample_id: str) -> tuple[np.ndarray, np.ndarray]:
        return to_float(load_image(index.loc[sample_id])), load_mask(index.loc[sample_id])

    def frame_of(mask: np.ndarray) -> Frame:
        if framing.mode == "full":
            return full_frame(mask.shape)
        return roi_frame(mask, mask.shape, framing.context, minimum)

    def make(row: Any) -> Region:
        background = picture(row.background)
        generated = fit_mask(masks.array(row.mask, "mask"), background.shape[:2])
        placed = placement_of(row._asdict()).apply(generated)
        mask = placed if placed.any() else generated
        frame = frame_of(mask)
        other, other_mask = real(row.reference)
        window = full_frame(other.shape) if framing.mode == "full" else like(frame, other_mask)
        cover, real_cover = crop(mask, frame, resolution), crop(other_mask, window, resolution)
        alignment = align(real_cover, cover, options.sae.angles)
        start = None
        if options.compose.mode == "exemplar":
            start = _start(
                background,
                mask,
                frame,
                other,
                other_mask,
                window,
                alignment,
                resolution,
                options.compose,
            )
        return Region(
            row=row,
            background=background,
            mask=mask,
            frame=frame,
            seen=crop(to_float(background), frame, resolution),
            cover=cover,
            reference=crop(other, window, resolution),
            alignment=alignment,
            start=start,
        )

    return make


def like(frame: Frame, mask: np.ndarray) -> Frame:
    """Return a window of the frame's size around another mask, so that scales agree.

    Where the window cannot hold the whole mask, it is laid around the mask's most central pixel:
    the middle of scattered parts may hold none of them.
    """
    points = np.argwhere(mask)
    centre = (points.min(0) + points.max(0) + 1) / 2
    if (np.ptp(points, axis=0) + 1 > (frame.height, frame.width)).any():
        centre = points[np.square(points + 0.5 - centre).sum(1).argmin()] + 0.5
    y0, x0 = (round(float(c)) for c in centre - np.array([frame.height, frame.width]) / 2)
    return Frame(x0, y0, frame.width, frame.height)


def _start(
    background: np.ndarray,
    mask: np.ndarray,
    frame: Frame,
    other: np.ndarray,
    other_mask: np.ndarray,
    window: Frame,
    alignment: Alignment,
    resolution: int,
    compose: ComposeOptions,
) -> np.ndarray:
    """Return the exemplar's start; an oblong frame (full framing) is first made square."""
    side = max(frame.width, frame.height)
    size = None if frame.width == frame.height else side
    covers = [crop(mask, frame, size), crop(other_mask, window, size)]
    return exemplar_start(
        crop(to_float(background), frame, size),
        crop(other, window, size),
        _solid(covers[1]),
        alignment.scaled(side / resolution),
        _solid(covers[0]),
        relative=compose.relative,
        collar=compose.collar,
    )


def _solid(cover: np.ndarray) -> np.ndarray:
    """Return the mask of a cover in [0, 1]; a stroke too thin to fill half a pixel is kept."""
    solid = cover >= 0.5
    return solid if solid.any() else cover > 0
