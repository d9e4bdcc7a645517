"""Real images again: the arms that everything else is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from defectsynth_pipeline.arms.arm import Arm, Recipe, Types, draws, made_of
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.errors import InputError


class Base(Arm):
    """Real base images, repeated."""

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`."""
        drawn = draws(base_ids(bank, category, types), count, seed, "base")
        return [made_of(defect_type, sample) for _, defect_type, sample in drawn]

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return bank.example(recipe["source"])


class NormalsOnly(Arm):
    """Defect-free images, each once: what a detector that has seen no defect learns from."""

    tasks = ("localization",)

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """Return a recipe per normal, whatever the count."""
        return [made_of(GOOD, sample) for sample in normal_ids(bank, category)]

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return bank.example(recipe["source"])


def base_ids(bank: Bank, category: str, types: Types) -> dict[str, list[str]]:
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
            remedy="add images to the category's train/good folder, or set training_set.normals "
            "to 0 and leave out the arms that need them",
        )
    return ids
