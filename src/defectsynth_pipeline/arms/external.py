"""Images of another system: the arm `external:<name>`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.bank import Bank, Example
from defectsynth_pipeline.arms.drawing import pick, turn
from defectsynth_pipeline.errors import InputError

if TYPE_CHECKING:
    from defectsynth_pipeline.arms.external_set import ExternalSet


class External(Arm):
    """Image-mask pairs read from a folder.

    Args:
        name: Its key in `arms.external`.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """As `Arm.plan`; none is used twice. Its real sources are not known, so `sources` is empty.

        Raises:
            InputError: The set is not known, or has fewer images of a type than asked.
        """
        pairs = self._set(bank).pairs
        mine = pairs[pairs["category"] == category].sort_values("image_id")
        pools = {
            name: list(map(str, mine.loc[mine["defect_type"] == name, "image_id"]))
            for name in types
        }
        self._check(bank, category, types, count, pools)
        recipes = []
        for number in range(count):
            defect_type, rounds = turn(types, number)
            image_id = pick(pools[defect_type], rounds, seed, "external", self.name, defect_type)
            recipes.append(
                {
                    "defect_type": defect_type,
                    "source": image_id,
                    "sources": [],
                    "external": self.name,
                }
            )
        return recipes

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

    def _check(
        self,
        bank: Bank,
        category: str,
        types: Sequence[str],
        count: int,
        pools: Mapping[str, list[str]],
    ) -> None:
        asked = Counter(turn(types, number)[0] for number in range(count))
        for name, wanted in asked.items():
            if len(pools[name]) < wanted:
                enough = len(types) * min(len(pool) for pool in pools.values())
                raise InputError(
                    "an external set has fewer images than asked",
                    file=self._set(bank).root,
                    value=f"{category}/{name}: {len(pools[name])} images, {wanted} asked",
                    remedy=f"make more, ask for less by training_set.count, or name the arm "
                    f"external:{self.name}@{enough} to repeat the ones there are",
                )
