"""Arms by name: the plain ones, mixtures `a+b` that take turns, and `a@n`, n images repeated.

Adding an arm is one small module with a subclass of `Arm`, and a line in `ARMS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from defectsynth_pipeline.arms.anomalies import CutPaste, Draem
from defectsynth_pipeline.arms.arm import NORMALS_ONLY, TASKS, Arm, Recipe, Types, shares
from defectsynth_pipeline.arms.augmentation import Geometric, Photometric
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.base import Base, NormalsOnly
from defectsynth_pipeline.arms.crop_paste import CropPaste, CropPasteMatched
from defectsynth_pipeline.arms.defectsynth import DefectSynth, Exemplar, External
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import ArmOptions

ARMS: dict[str, Arm] = {
    "base": Base(),
    NORMALS_ONLY: NormalsOnly(),
    "geometric": Geometric(),
    "photometric": Photometric(),
    "crop_paste": CropPaste(),
    "crop_paste_matched": CropPasteMatched(),
    "exemplar": Exemplar(),
    "cutpaste": CutPaste(),
    "draem": Draem(),
    "defectsynth": DefectSynth(),
}
_EXTERNAL = "external:"


def arm_names(options: ArmOptions) -> list[str]:
    """Return the arms to train, those of the ratio curve after the named ones, each once.

    Raises:
        InputError: The ratio curve is asked of a mixture, or of an arm that is limited already.
    """
    if options.ratio and ("+" in options.ratio_arm or "@" in options.ratio_arm):
        raise InputError(
            "a ratio curve is drawn for a single arm",
            file="arms.ratio_arm",
            value=options.ratio_arm,
            remedy=f"use one of {', '.join(ARMS)}, or {_EXTERNAL}<name>",
        )
    curve = [f"{options.ratio_arm}@{number}" for number in options.ratio or []]
    return list(dict.fromkeys([*options.names, *curve]))


def parse(name: str) -> Arm:
    """Return the arm of a name: plain, `external:<name>`, `a@n`, or a mixture `a+b`.

    `@` binds closer than `+`: `crop_paste+defectsynth@50` takes turns between Crop-Paste and 50
    synthetic images.

    Raises:
        InputError: The name is not known, the number after `@` is none, or `normals_only` is part
            of something.
    """
    parts = [_part(part.strip(), name) for part in name.split("+")]
    if name != NORMALS_ONLY and any(isinstance(part, NormalsOnly) for part in parts):
        raise InputError(
            "an arm that shows no defect cannot be mixed or limited",
            file="arms.names",
            value=name,
            remedy=f"name {NORMALS_ONLY} by itself",
        )
    return parts[0] if len(parts) == 1 else Mixture(parts)


def _part(name: str, whole: str) -> Arm:
    plain, limit, number = name.partition("@")
    set_name = plain.removeprefix(_EXTERNAL)
    arm = ARMS.get(plain) if set_name == plain else External(set_name)
    if arm is None or not set_name:
        close = get_close_matches(plain, ARMS, n=1)
        raise InputError(
            "unknown arm",
            file="arms.names",
            value=whole,
            remedy=f"did you mean {close[0]}?"
            if close
            else f"use one of {', '.join(ARMS)}, {_EXTERNAL}<name>, a mixture a+b, or a@n",
        )
    if not limit:
        return arm
    if not (number.isascii() and number.isdigit()):
        raise InputError(
            "an arm's number of images is not a whole number",
            file="arms.names",
            value=whole,
            remedy=f"write {plain}@50, for example",
        )
    return arm if plain == NORMALS_ONLY else Limited(arm, int(number), ARMS["base"])


class Mixture(Arm):
    """Several arms by turns, in equal shares.

    Each part gives the same images as it would alone, only fewer.

    Args:
        parts: Arms, two or more.
    """

    def __init__(self, parts: Sequence[Arm]) -> None:
        self.parts = tuple(parts)
        self.tasks = tuple(t for t in TASKS if all(t in part.tasks for part in self.parts))

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`; `part` says which arm makes the image."""
        plans = [
            part.plan(bank, category, types, share, seed)
            for part, share in zip(self.parts, shares(count, len(self.parts)), strict=True)
        ]
        recipes = []
        for number in range(count):
            turn, part = divmod(number, len(plans))
            inner = plans[part][turn]
            face = {name: inner[name] for name in ("defect_type", "source", "sources")}
            recipes.append(face | {"part": part, "recipe": inner})
        return recipes

    def most(self, bank: Bank, category: str, defect_type: str) -> int | None:
        """As `Arm.most`, of the part that has the fewest."""
        each = [part.most(bank, category, defect_type) for part in self.parts]
        ends = [number for number in each if number is not None]
        return min(ends) * len(self.parts) if ends else None

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return self.parts[recipe["part"]].make(bank, recipe["recipe"])


class Limited(Arm):
    """The first `number` images of an arm, repeated to fill the set; the points of a ratio curve.

    Args:
        arm: Where the images come from.
        number: How many different ones; 0 leaves real images in their place.
        instead: What makes the images where `number` is 0.
    """

    def __init__(self, arm: Arm, number: int, instead: Arm) -> None:
        self.source, self.number, self.tasks = arm if number else instead, number, arm.tasks

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`."""
        different = min(self.number, count) if self.number else count
        recipes = self.source.plan(bank, category, types, different, seed)
        return [recipes[place % len(recipes)] for place in range(count)]

    def most(self, bank: Bank, category: str, defect_type: str) -> int | None:
        """As `Arm.most`."""
        most = self.source.most(bank, category, defect_type)
        if not self.number:
            return most
        return self.number if most is None else min(self.number, most)

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return self.source.make(bank, recipe)
