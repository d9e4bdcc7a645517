"""The interface of an arm: what a training set holds beside real images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from defectsynth_pipeline.arms.bank import Bank, Example

TASKS = ("classification", "localization")


class Arm(ABC):
    """Plans images, all randomness drawn, then makes any one of them from its recipe.

    A subclass is one small module, entered in `arms.ARMS`.
    """

    tasks: ClassVar[tuple[str, ...]] = TASKS

    @abstractmethod
    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """Return `count` recipes, the types taking turns.

        A recipe holds `defect_type`, `source` (the sample_id, image_id or file it is made from)
        and `sources` (sample_ids of all real images in it), and what else `make` needs, as JSON
        scalars and lists.

        Raises:
            InputError: There is nothing to plan from.
        """

    @abstractmethod
    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """Return the image of a recipe; the same recipe always gives the same image."""
