"""Images of an arm, or of what must score worst, with the background that they were made on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from defectsynth_pipeline.arms.arm import TASKS, Types
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.defectsynth import take_rows
from defectsynth_pipeline.arms.external import check_fits
from defectsynth_pipeline.arms.registry import ARMS, parse
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.options import ArmOptions

UNTOUCHED = "untouched"
_NONE_MADE = ("base", "normals_only")


class Shown(NamedTuple):
    """An image that is measured.

    Attributes:
        image: uint8 or uint16, (H, W) or (H, W, 3).
        mask: (H, W) bool, not empty.
        background: The same without its defect, of the same shape; None where it is not known.
    """

    image: np.ndarray
    mask: np.ndarray
    background: np.ndarray | None


@dataclass(frozen=True)
class Source:
    """Where the images of a row of the quality table come from.

    Attributes:
        show: Of a category, defect types and a number: that many images, the types taking turns.
        most: Of a category and a type: how many different ones there are, None without end.
        typed: Whether it knows defect types.
    """

    show: Callable[[str, Types, int], Iterator[Shown]]
    most: Callable[[str, str], int | None]
    typed: bool = True


def check_measurable(name: str, options: ArmOptions) -> None:
    """Refuse an arm whose images are real, or of a set that is not given.

    Raises:
        InputError: It is such an arm.
    """
    parts = [part.partition("@")[0].strip() for part in name.split("+")]
    if real := [part for part in parts if part in _NONE_MADE]:
        others = ", ".join(arm for arm in ARMS if arm not in _NONE_MADE)
        raise InputError(
            "an arm of real images alone has no quality to measure",
            file="quality.arms",
            value=real[0],
            remedy=f"name arms that make images: {others}, external:<name>",
        )
    sets = [part.removeprefix("external:") for part in parts if part.startswith("external:")]
    if unknown := [given for given in sets if given not in options.external]:
        raise InputError(
            "an arm names an external set that is not given",
            file="quality.arms",
            value=f"external:{unknown[0]}",
            remedy=f"give its folder: arms.external.{unknown[0]}.path",
        )


def arm_source(bank: Bank, name: str) -> Source:
    """The images of an arm, drawn as for a training set.

    Raises:
        InputError: There is no such arm, it makes no images, or they are another system's that do
            not fit the corpus.
    """
    check_measurable(name, bank.options)
    for part in name.split("+"):
        given = part.partition("@")[0].strip().removeprefix("external:")
        if part.strip().startswith("external:"):
            check_fits(bank.external[given], bank.samples)
    arm, backgrounds = parse(name), _Backgrounds(bank)

    def show(category: str, types: Types, count: int) -> Iterator[Shown]:
        seed = counter_seed(bank.options.seed, category)
        for recipe in arm.plan(bank, category, types, count, seed):
            made = arm.make(bank, recipe)
            yield Shown(made.image, made.mask, backgrounds.of(recipe))

    return Source(show, lambda c, t: arm.most(bank, c, t), typed=arm.tasks == TASKS)


def untouched_source(bank: Bank) -> Source:
    """The backgrounds of the augment run under its own masks: no defect, so the worst."""
    mine = ARMS["defectsynth"]

    def show(category: str, types: Types, count: int) -> Iterator[Shown]:
        seed = counter_seed(bank.options.seed, category)
        for row in take_rows(bank, category, types, count, seed):
            background = bank.example(str(row["background"])).image
            yield Shown(background, bank.synthetic.array(str(row["image_id"]), "mask"), background)

    return Source(show, lambda c, t: mine.most(bank, c, t))


class _Backgrounds:
    """What an image was made on, by its recipe."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    @cached_property
    def _of_synthetic(self) -> Mapping[str, str]:
        sets = (self._bank.synthetic.manifest, self._bank.synthetic.rejected)
        rows = pd.concat(sets)
        return dict(zip(rows["image_id"], rows["background"], strict=True))

    def of(self, recipe: Mapping[str, Any]) -> np.ndarray | None:
        recipe = recipe.get("recipe", recipe)  # of a mixture
        name = recipe.get("background") or self._of_synthetic.get(recipe["source"])
        if name is None and self._is_normal(recipe["source"]):
            name = recipe["source"]
        return None if name is None else self._bank.example(name).image

    def _is_normal(self, sample_id: str) -> bool:
        rows = self._bank.samples
        return bool(((rows["sample_id"] == sample_id) & (rows["split"] == "normal")).any())
