"""The finished images of the augment run: which of them a training set takes, and in what order."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.bank import Bank, Example
from defectsynth_pipeline.arms.drawing import pick, turn
from defectsynth_pipeline.errors import InputError

_log = logging.getLogger(__name__)


class DefectSynth(Arm):
    """The images of the augment run; repeated, with a warning, where there are too few."""

    def plan(
        self, bank: Bank, category: str, types: Sequence[str], count: int, seed: int
    ) -> list[dict[str, Any]]:
        """As `Arm.plan`; `verdict` says whether the defect of the image can be seen."""
        return [recipe_of(row, bank) for row in take_rows(bank, category, types, count, seed)]

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        image_id = recipe["source"]
        return Example(
            bank.synthetic.array(image_id, "image"), bank.synthetic.array(image_id, "mask")
        )


def take_rows(
    bank: Bank, category: str, types: Sequence[str], count: int, seed: int
) -> list[dict[str, Any]]:
    """Return `count` rows of the synthetic manifest, types in turn, each once before any twice.

    With `visible_only` these are the visible images; a type that has none gives its faint ones,
    and a type without any image gives up its turn, both with a warning.

    Raises:
        InputError: There is no image of the category.
    """
    pools = {name: _pool(bank, category, name) for name in types}
    filled = [name for name in types if pools[name]]
    if not filled:
        raise InputError(
            "no synthetic images of this category",
            file=bank.synthetic.root,
            value=category,
            remedy="run augment with this category, or leave it out of ingest.categories",
        )
    if len(filled) < len(types):
        missing = ", ".join(name for name in types if not pools[name])
        _log.warning("%s: no synthetic images of %s", category, missing)
    rows = []
    for number in range(count):
        defect_type, rounds = turn(filled, number)
        rows.append(pick(pools[defect_type], rounds, seed, "defectsynth", defect_type))
    distinct = len({row["image_id"] for row in rows})
    if distinct < count:
        _log.warning(
            "%s: %d synthetic images stand in for %d rows and are repeated",
            category,
            distinct,
            count,
        )
    return rows


def _pool(bank: Bank, category: str, defect_type: str) -> list[dict[str, Any]]:
    table = bank.synthetic.manifest
    mine = table[(table["category"] == category) & (table["defect_type"] == defect_type)]
    mine = mine.sort_values("image_id")
    if bank.options.visible_only and len(mine):
        visible = mine[mine["verdict"] == "visible"]
        if visible.empty:
            _log.warning(
                "%s/%s: no synthetic defect is visible; its %d faint images are used",
                category,
                defect_type,
                len(mine),
            )
        mine = mine if visible.empty else visible
    return [{str(key): value for key, value in row.items()} for row in mine.to_dict("records")]


def recipe_of(row: Mapping[str, Any], bank: Bank) -> dict[str, Any]:
    """Return a row's recipe; its sources are all real images whose pixels or shapes it has."""
    masks = bank.masks.manifest
    parents: pd.Series = masks.loc[masks["image_id"] == row["mask"], "parents"]
    real = [str(row["reference"]), str(row["background"])]
    real += [name for text in parents for name in str(text).split("|") if name]
    return {
        "defect_type": str(row["defect_type"]),
        "source": str(row["image_id"]),
        "sources": list(dict.fromkeys(real)),
        "verdict": str(row["verdict"]),
    }
