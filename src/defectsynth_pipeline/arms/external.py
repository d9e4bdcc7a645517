"""Images of another system: the arm `external:<name>`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.drawing import Recipe, Types, draws, shares
from defectsynth_pipeline.arms.example import Example
from defectsynth_pipeline.arms.external_set import ExternalSet
from defectsynth_pipeline.errors import InputError


class External(Arm):
    """Image-mask pairs read from a folder.

    Args:
        name: Its key in `arms.external`.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`; none is used twice. Its real sources are not known, so `sources` is empty.

        Raises:
            InputError: The set is not known, or has fewer images of a type than asked.
        """
        given = self._set(bank)
        mine = given.pairs[given.pairs["category"] == category].sort_values("image_id")
        pools = {n: list(map(str, mine.loc[mine["defect_type"] == n, "image_id"])) for n in types}
        for (defect_type, pool), asked in zip(
            pools.items(), shares(count, len(types)), strict=True
        ):
            if len(pool) < asked:
                enough = len(types) * min(map(len, pools.values()))
                raise InputError(
                    "an external set has fewer images than asked",
                    file=given.root,
                    value=f"{category}/{defect_type}: {len(pool)} images, {asked} asked",
                    remedy=f"make more, ask for less by training_set.count, or name the arm "
                    f"external:{self.name}@{enough} to repeat the ones there are",
                )
        return [
            {"defect_type": name, "source": image_id, "sources": [], "external": self.name}
            for _, name, image_id in draws(pools, count, seed, "external", self.name)
        ]

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return self._set(bank).example(recipe["source"])

    def _set(self, bank: Bank) -> ExternalSet:
        if self.name in bank.external:
            return bank.external[self.name]
        close = get_close_matches(self.name, bank.external, n=1)
        raise InputError(
            "an arm names an external set that is not given",
            value=f"external:{self.name}",
            remedy=f"did you mean external:{close[0]}?"
            if close
            else f"add {self.name}: {{path: /its/folder}} to arms.external",
        )
