"""Arms made of arms: mixtures take turns, limits repeat a few images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from defectsynth_pipeline.arms.arm import TASKS, Arm
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.drawing import Recipe, Types, shares
from defectsynth_pipeline.arms.example import Example


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

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return self.source.make(bank, recipe)
