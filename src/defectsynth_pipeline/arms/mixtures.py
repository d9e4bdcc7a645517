"""Arms made of arms: mixtures take turns, limits repeat a few images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from defectsynth_pipeline.arms.arm import TASKS, Arm
from defectsynth_pipeline.arms.bank import Bank, Example
from defectsynth_pipeline.errors import InputError


class Mixture(Arm):
    """Several arms by turns, in equal shares.

    Each part gives the same images as it would alone, only fewer.

    Args:
        parts: Arms, two or more.
    """

    def __init__(self, parts: Sequence[Arm]) -> None:
        self.parts = tuple(parts)

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        """What all parts can be used for."""
        return tuple(task for task in TASKS if all(task in part.tasks for part in self.parts))

    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """As `Arm.plan`; `part` says which arm makes the image."""
        shares = [len(range(first, count, len(self.parts))) for first in range(len(self.parts))]
        plans = [
            part.plan(bank, category, types, share, seed)
            for part, share in zip(self.parts, shares, strict=True)
        ]
        turns = [(i % len(plans), i // len(plans)) for i in range(count)]
        return [
            {"part": part, "recipe": plans[part][at], **_face(plans[part][at])}
            for part, at in turns
        ]

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
        if number < 0:
            raise InputError("fewer than no images", value=number, remedy="give 0 or more after @")
        self.source, self.number = (arm if number else instead), number
        self.limited = arm

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the arm can be used for."""
        return self.limited.tasks

    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """As `Arm.plan`."""
        if not self.number:
            return self.source.plan(bank, category, types, count, seed)
        recipes = self.source.plan(bank, category, types, min(self.number, count), seed)
        return [recipes[place % len(recipes)] for place in range(count)]

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return self.source.make(bank, recipe)


def _face(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {name: recipe[name] for name in ("defect_type", "source", "sources")}
