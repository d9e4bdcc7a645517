"""Exemplar transfer: a real defect's texture in the shape of a generated mask, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from defectsynth_pipeline.appearance.compose import compose
from defectsynth_pipeline.appearance.transfer import set_on
from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.defectsynth import recipe_of, take_rows
from defectsynth_pipeline.arms.example import Example
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.imaging.values import full_scale, to_float

_FRAME = ("frame_x", "frame_y", "frame_width", "frame_height")


class Exemplar(Arm):
    """Rows, masks, backgrounds, references and windows of the arm defectsynth.

    The two arms differ by what the network adds, and by nothing else.
    """

    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """As `Arm.plan`; the masks are aligned where the augment run aligned them.

        Raises:
            InputError: As `Arm.plan`, or the synthetic set does not say at which resolution.
        """
        return [
            recipe_of(row, bank)
            | {"background": str(row["background"]), "reference": str(row["reference"])}
            | {"frame": [int(row[name]) for name in _FRAME], "resolution": _resolution(row, bank)}
            for row in take_rows(bank, category, types, count, seed)
        ]

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`: the start of the renderer, set on the background as it is."""
        background, real = (bank.example(recipe[name]) for name in ("background", "reference"))
        mask, full = bank.synthetic.array(recipe["source"], "mask"), bank.framing.mode == "full"
        place = background.image, mask, Rectangle.at(*recipe["frame"])
        picture, resolution = to_float(real.image), recipe["resolution"]
        exemplar = set_on(
            *place, picture, real.mask, resolution, bank.synthesis, full=full, start=True
        )
        unchanged = np.zeros((8, 8, 3))  # what a network would have made of it, and from what
        composed = compose(
            *place,
            unchanged,
            unchanged,
            mode="exemplar",
            collar=bank.synthesis.compose.collar,
            relative=bank.synthesis.compose.relative,
            start=exemplar.start,
            white=float(full_scale(background.image)),
        )
        return Example(composed.image, mask)


def _resolution(row: Mapping[str, Any], bank: Bank) -> int:
    """Side of the grid on which the masks of a row were aligned, px."""
    found = row.get("resolution", bank.framing.resolution)
    if found is None:
        raise InputError(
            "the synthetic images do not say at which resolution they were made",
            file=bank.synthetic.root,
            value=row["image_id"],
            remedy="run augment again, or set framing.resolution to that of its base model",
        )
    return int(found)
