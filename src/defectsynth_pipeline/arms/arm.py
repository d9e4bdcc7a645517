"""What an arm is: it draws recipes, each by its own counter, and makes an image of any one of them.

Recipe i of an arm depends on i alone, never on how many are asked for. So the first 25 images of
an arm are the same ones in a training set of 25 and in one of 200, and a mixture holds the same
images as its parts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.fingerprints import counter_seed

TASKS = ("classification", "localization")
NORMALS_ONLY = "normals_only"
Item = TypeVar("Item")
Recipe = dict[str, Any]  # JSON scalars and lists, see `Arm.plan`
Types = Sequence[str]  # defect types of a category, in the order of their turns


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

    def most(self, bank: Bank, category: str, defect_type: str) -> int | None:
        """How many different images of a type it can give; None where there is no end."""
        return None

    @abstractmethod
    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """Return the image of a recipe; the same recipe always gives the same image."""


def rng_of(*key: object) -> np.random.Generator:
    """Return a generator that depends on the key alone."""
    return np.random.default_rng(counter_seed(*key))


def pick(items: Sequence[Item], number: int, *key: object) -> Item:
    """Return item `number` of endless shuffled passes over `items`: each once before any twice."""
    passes, place = divmod(number, len(items))
    return items[int(rng_of(*key, passes).permutation(len(items))[place])]


def draws(
    pools: Mapping[str, Sequence[Item]], count: int, *key: object
) -> Iterator[tuple[int, str, Item]]:
    """Yield number, defect type and item of `count` recipes.

    The types take turns, and each item of a type comes once before any comes twice.

    Args:
        pools: What the recipes of each type are made from.
        count: How many.
        key: What the draws depend on, beside number and type.
    """
    types = list(pools)
    for number in range(count):
        rounds, place = divmod(number, len(types))
        defect_type = types[place]
        yield number, defect_type, pick(pools[defect_type], rounds, *key, defect_type)


def shares(count: int, number: int) -> list[int]:
    """Return how many of `count` turns each of `number` players has."""
    return [len(range(first, count, number)) for first in range(number)]


def made_of(defect_type: str, source: str, *others: str) -> Recipe:
    """Return the recipe of an image made of a real one, the source, and maybe others."""
    return {"defect_type": defect_type, "source": source, "sources": [source, *others]}
