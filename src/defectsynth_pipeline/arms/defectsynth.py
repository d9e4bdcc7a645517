"""Arms of finished sets: the augment run's images, the same without a network, other systems'."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import pandas as pd

from defectsynth_pipeline.appearance.engines import begun, planned_mask
from defectsynth_pipeline.appearance.plan import DRAWN
from defectsynth_pipeline.arms.arm import Arm, Recipe, Types, draws, shares
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.external import ExternalSet
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.provenance import other_references

_log = logging.getLogger(__name__)
_STARTED_FROM = ("engine", *DRAWN)


class DefectSynth(Arm):
    """The images of the augment run; repeated, with a warning, where there are too few."""

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`; `verdict` is that of the image's certificate."""
        return [recipe_of(row, bank) for row in take_rows(bank, category, types, count, seed)]

    def most(self, bank: Bank, category: str, defect_type: str) -> int:
        """As `Arm.most`."""
        return len(_pool(bank, category, defect_type))

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return Example(*(bank.synthetic.array(recipe["source"], n) for n in ("image", "mask")))


def take_rows(
    bank: Bank, category: str, types: Types, count: int, seed: int
) -> list[dict[str, Any]]:
    """Return `count` rows of the synthetic manifest, types in turn, each once before any twice.

    Without `accepted_only` rejected images are among them. A type without any image gives up its
    turn, with a warning.

    Raises:
        InputError: There is no image of the category.
    """
    pools = {name: pool for name in types if (pool := _pool(bank, category, name))}
    if not pools:
        raise InputError(
            "no synthetic images of this category",
            file=bank.synthetic.root,
            value=category,
            remedy="run augment with this category, leave it out of ingest.categories, or set "
            "arms.accepted_only: false to take images that were rejected",
        )
    if missing := [name for name in types if name not in pools]:
        _log.warning("%s: no synthetic images of %s", category, ", ".join(missing))
    rows = [row for _, _, row in draws(pools, count, seed, "defectsynth")]
    distinct = len({row["image_id"] for row in rows})
    if distinct < count:
        message = "%s: %d synthetic images stand in for %d rows and are repeated"
        _log.warning(message, category, distinct, count)
    return rows


def _pool(bank: Bank, category: str, defect_type: str) -> list[dict[str, Any]]:
    table = bank.synthetic.manifest
    if not bank.options.accepted_only:
        table = pd.concat([table, bank.synthetic.rejected])
    mine = table[(table["category"] == category) & (table["defect_type"] == defect_type)]
    mine = mine.sort_values("image_id")
    return [{str(key): value for key, value in row.items()} for row in mine.to_dict("records")]


def recipe_of(row: Mapping[str, Any], bank: Bank) -> Recipe:
    """Return a row's recipe; its sources are all real images whose pixels or shapes it has."""
    masks = bank.masks.manifest
    parents = "|".join(map(str, masks.loc[masks["image_id"] == row["mask"], "parents"])).split("|")
    real = [str(row["reference"]), str(row["background"]), *filter(None, parents)]
    real += other_references(row)
    return {
        "defect_type": str(row["defect_type"]),
        "source": str(row["image_id"]),
        "sources": list(dict.fromkeys(real)),
        "verdict": str(row["verdict"]),
    }


class Exemplar(Arm):
    """Rows, masks, backgrounds and references of the arm defectsynth.

    The two arms differ by what the network adds, and by nothing else.
    """

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`."""
        return [
            recipe_of(row, bank) | {name: row[name] for name in _STARTED_FROM}
            for row in take_rows(bank, category, types, count, seed)
        ]

    def most(self, bank: Bank, category: str, defect_type: str) -> int:
        """As `Arm.most`."""
        return len(_pool(bank, category, defect_type))

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`: what the renderer started from, with the mask of what it made."""
        background, real = (bank.example(recipe[name]) for name in ("background", "reference"))
        mask = planned_mask(recipe, bank.masks, real.mask, background.image.shape[:2])
        published = bank.synthetic.array(recipe["source"], "mask")

        def picture(name: str) -> tuple[Any, Any]:
            example = bank.example(name)
            return example.image, example.mask

        return Example(begun(recipe, background.image, mask, picture, bank.synthesis), published)


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

    def most(self, bank: Bank, category: str, defect_type: str) -> int:
        """As `Arm.most`."""
        pairs = self._set(bank).pairs
        return int(((pairs["category"] == category) & (pairs["defect_type"] == defect_type)).sum())

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
