"""Real base images again: the arms that everything else is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.bank import Bank, Example
from defectsynth_pipeline.arms.drawing import pick, turn
from defectsynth_pipeline.errors import InputError


class Base(Arm):
    """Real base images, repeated; its training set holds no normals either."""

    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """As `Arm.plan`."""
        pools = base_ids(bank, category, types)
        recipes = []
        for number in range(count):
            defect_type, rounds = turn(types, number)
            sample = pick(pools[defect_type], rounds, seed, "base", defect_type)
            recipes.append({"defect_type": defect_type, "source": sample, "sources": [sample]})
        return recipes

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return bank.example(recipe["source"])


class BaseNormals(Base):
    """Real base images, repeated, beside the normals that all other arms have too."""


def base_ids(bank: Bank, category: str, types: Sequence[str]) -> dict[str, list[str]]:
    """Return the sample_ids of the base images of each type.

    Raises:
        InputError: A type has none.
    """
    pools = {name: list(map(str, bank.base(category, name)["sample_id"])) for name in types}
    for name, pool in pools.items():
        if not pool:
            raise InputError(
                "no base images of this defect type",
                value=f"{category}/{name}",
                remedy="raise ingest.base_share, or leave the type out by ingest.defect_types",
            )
    return pools


def normal_ids(bank: Bank, category: str) -> list[str]:
    """Return the sample_ids of a category's normals.

    Raises:
        InputError: There are none.
    """
    ids = list(map(str, bank.normals(category)["sample_id"]))
    if not ids:
        raise InputError(
            "no defect-free images for the training set",
            value=category,
            remedy="add images to the category's train/good folder; without any, only the arm "
            "base can be trained",
        )
    return ids
