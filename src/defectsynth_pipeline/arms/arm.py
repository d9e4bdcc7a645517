"""The interface of an arm: what a training set holds beside real images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.drawing import Recipe, Types
from defectsynth_pipeline.arms.example import Example

TASKS = ("classification", "localization")


class Arm(ABC):
    """Plans images, all randomness drawn, then makes any one of them from its recipe.

    A subclass is one small module, entered in `registry.ARMS`.
    """

    tasks: tuple[str, ...] = TASKS

    @abstractmethod
    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
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
