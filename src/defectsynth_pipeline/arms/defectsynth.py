"""The finished images of the augment run: which of them a training set takes, and in what order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.drawing import Recipe, Types, draws
from defectsynth_pipeline.arms.example import Example
from defectsynth_pipeline.errors import InputError

_log = logging.getLogger(__name__)


class DefectSynth(Arm):
    """The images of the augment run; repeated, with a warning, where there are too few."""

    def plan(self, bank: Bank, category: str, types: Types, count: int, seed: int) -> list[Recipe]:
        """As `Arm.plan`; `verdict` says whether the defect of the image can be seen."""
        return [recipe_of(row, bank) for row in take_rows(bank, category, types, count, seed)]

    def make(self, bank: Bank, recipe: Mapping[str, Any]) -> Example:
        """As `Arm.make`."""
        return Example(*(bank.synthetic.array(recipe["source"], n) for n in ("image", "mask")))


def take_rows(
    bank: Bank, category: str, types: Types, count: int, seed: int
) -> list[dict[str, Any]]:
    """Return `count` rows of the synthetic manifest, types in turn, each once before any twice.

    With `visible_only` these are the visible images; a type that has none gives its faint ones,
    and a type without any image gives up its turn, both with a warning.

    Raises:
        InputError: There is no image of the category.
    """
    pools = {name: pool for name in types if (pool := _pool(bank, category, name))}
    if not pools:
        raise InputError(
            "no synthetic images of this category",
            file=bank.synthetic.root,
            value=category,
            remedy="run augment with this category, or leave it out of ingest.categories",
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
    mine = table[(table["category"] == category) & (table["defect_type"] == defect_type)]
    mine = mine.sort_values("image_id")
    if bank.options.visible_only and len(mine):
        visible = mine[mine["verdict"] == "visible"]
        if visible.empty:
            message = "%s/%s: no synthetic defect is visible; its %d faint images are used"
            _log.warning(message, category, defect_type, len(mine))
        mine = mine if visible.empty else visible
    return [{str(key): value for key, value in row.items()} for row in mine.to_dict("records")]


def recipe_of(row: Mapping[str, Any], bank: Bank) -> Recipe:
    """Return a row's recipe; its sources are all real images whose pixels or shapes it has."""
    masks = bank.masks.manifest
    parents = "|".join(map(str, masks.loc[masks["image_id"] == row["mask"], "parents"])).split("|")
    real = [str(row["reference"]), str(row["background"]), *filter(None, parents)]
    return {
        "defect_type": str(row["defect_type"]),
        "source": str(row["image_id"]),
        "sources": list(dict.fromkeys(real)),
        "verdict": str(row["verdict"]),
    }
