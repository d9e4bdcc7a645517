"""Counter-based draws: recipe i of an arm depends on i alone, never on how many are asked for.

So the first 25 images of an arm are the same ones in a training set of 25 and in one of 200, and
a mixture holds the same images as its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from defectsynth_pipeline.fingerprints import counter_seed

Item = TypeVar("Item")


def rng_of(*key: object) -> np.random.Generator:
    """Return a generator that depends on the key alone."""
    return np.random.default_rng(counter_seed(*key))


def turn(types: Sequence[str], number: int) -> tuple[str, int]:
    """Return whose turn it is at `number`, and how many turns that type had before."""
    rounds, place = divmod(number, len(types))
    return types[place], rounds


def pick(items: Sequence[Item], number: int, *key: object) -> Item:
    """Return item `number` of endless shuffled passes over `items`: each once before any twice."""
    passes, place = divmod(number, len(items))
    return items[int(rng_of(*key, passes).permutation(len(items))[place])]
