"""Exemplar transfer: a real defect's texture in the shape of a generated mask, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from defectsynth_pipeline.appearance.alignment import align
from defectsynth_pipeline.appearance.compose import compose
from defectsynth_pipeline.appearance.framing import Frame, crop, full_frame, resize
from defectsynth_pipeline.appearance.regions import like
from defectsynth_pipeline.appearance.transfer import exemplar_start
from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.defectsynth import recipe_of, take_rows
from defectsynth_pipeline.arms.example import Example
from defectsynth_pipeline.corpora.reading import full_scale, to_float

RESOLUTION = 64  # px of the grid on which masks are aligned, where framing does not say
_FRAME = ("frame_x", "frame_y", "frame_width", "frame_height")


class Exemplar(Arm):
    """Rows, masks, backgrounds, references and windows of the arm defectsynth.

    The two arms differ by what the network adds, and by nothing else.
    """

    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """As `Arm.plan`."""
        return [
            recipe_of(row, bank)
            | {"background": str(row["background"]), "reference": str(row["reference"])}
            | {"frame": [int(row[name]) for name in _FRAME]}
            for row in take_rows(bank, category, types, count, seed)
        ]

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`: `exemplar_start` at native size, set on the background."""
        background = bank.example(recipe["background"]).image
        mask = bank.synthetic.array(recipe["source"], "mask")
        frame = Frame(*recipe["frame"])
        start = _start(bank, background, mask, frame, bank.example(recipe["reference"]))
        unchanged = np.zeros((8, 8, 3))  # what a network would have made of it, and from what
        options = bank.synthesis.compose
        composed = compose(
            background,
            mask,
            frame,
            unchanged,
            unchanged,
            mode="exemplar",
            collar=options.collar,
            relative=options.relative,
            start=resize(start, (frame.height, frame.width)),
            white=float(full_scale(background)),
        )
        return Example(composed.image, mask)


def _start(
    bank: Bank, background: np.ndarray, mask: np.ndarray, frame: Frame, real: Example
) -> np.ndarray:
    """Return the exemplar's start (side, side, 3) in [0, 1]; an oblong frame is made square."""
    full = bank.framing.mode == "full"
    window = full_frame(real.image.shape) if full else like(frame, real.mask)
    side = max(frame.width, frame.height)
    size = None if frame.width == frame.height else side
    resolution = bank.framing.resolution or RESOLUTION
    alignment = align(
        crop(real.mask, window, resolution),
        crop(mask, frame, resolution),
        bank.synthesis.sae.angles,
    )
    return exemplar_start(
        crop(to_float(background), frame, size),
        crop(to_float(real.image), window, size),
        _solid(crop(real.mask, window, size)),
        alignment.scaled(side / resolution),
        _solid(crop(mask, frame, size)),
        relative=bank.synthesis.compose.relative,
        collar=bank.synthesis.compose.collar,
    )


def _solid(cover: np.ndarray) -> np.ndarray:
    """Return the mask of a cover in [0, 1]; a stroke too thin to fill half a pixel is kept."""
    solid = cover >= 0.5
    return solid if solid.any() else cover > 0
