"""The rows of Tables V and VI: the method without one idea, or with another way of doing it.

Every row is the user's own options with one thing changed, so that rows share masks, plans, seeds
and the fine-tuned network wherever the change leaves them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import ValidationError

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import (
    AblationOptions,
    FinetuneOptions,
    FramingOptions,
    IngestOptions,
    MaskOptions,
    PromptOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.shape.area import area_ratio_table

ALL = "all"
_TIMED = (ALL, "without_hmi", "without_sff", "without_sae")
_ON = {True: "yes", False: "no"}
V, VI, STEPS = "V", "VI", "steps"
"""Which table of the paper a row belongs to; of steps it has none."""


@dataclass(frozen=True)
class Recipe:
    """How images are made: the options of every stage.

    Attributes:
        ingest, masks, framing, prompts, finetune, synthesis: Those of the stages.
    """

    ingest: IngestOptions
    masks: MaskOptions
    framing: FramingOptions
    prompts: PromptOptions
    finetune: FinetuneOptions
    synthesis: SynthesisOptions


@dataclass(frozen=True)
class Row:
    """One way of making the images.

    Attributes:
        name: One of `options.ROWS`, or steps_<n>.
        table: "V", "VI" or "steps".
        masks: What its masks are made with.
        synthesis: What its images are made with.
    """

    name: str
    table: str
    masks: MaskOptions
    synthesis: SynthesisOptions

    def told(self) -> dict[str, Any]:
        """Which ideas are at work, as columns of a table."""
        return {
            "table": self.table,
            "row": self.name,
            "hmi": _ON[self.masks.method not in ("geometric", "perlin")],
            "sff": _ON[self.synthesis.sff.enabled],
            "sae": _ON[self.synthesis.sae.enabled],
            "masks": self.masks.method,
            "steps": self.synthesis.steps,
        }


def plan_rows(options: AblationOptions, recipe: Recipe) -> list[Row]:
    """Return the rows, `all` first: every other one is compared with it.

    The engine is `diffusion` and every image gets one attempt, whatever the certificate says, so
    that each idea is at work in each image and no row is chosen from.

    Raises:
        InputError: A row has fewer steps than `synthesis.strength` leaves one of.
    """
    return [_row(name, options, recipe) for name in dict.fromkeys([ALL, *options.rows])]


def _row(name: str, options: AblationOptions, recipe: Recipe) -> Row:
    each = {"count": options.count, "per": "type"}
    masks: dict[str, Any] = recipe.masks.model_dump() | each | {"method": "hybrid"}
    synthesis = recipe.synthesis.model_dump() | each | {"engine": "diffusion", "attempts": 1}
    for idea in ("sff", "sae"):
        synthesis[idea]["enabled"] = True
    kind, _, given = name.partition("_")
    table = {"masks": VI, "steps": STEPS}.get(kind, V)
    if kind == "masks":
        masks["method"] = given
    elif kind == "steps":
        synthesis["steps"] = int(given)
    elif given == "hmi":
        masks["method"] = "geometric"
    elif given:
        synthesis[given]["enabled"] = False
    if masks["method"] in ("geometric", "perlin"):
        masks["pairs"] = {}
    try:
        return Row(name, table, MaskOptions(**masks), SynthesisOptions(**synthesis))
    except ValidationError as error:
        raise InputError(
            "a row of the ablation takes less than one step",
            file="ablation.rows",
            value=f"{name}, synthesis.strength = {recipe.synthesis.strength:g}",
            remedy="leave the row out, ask for more steps, or raise synthesis.strength",
        ) from error


def timed_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose cost is told: `all`, those without an idea, other numbers of steps."""
    usual = rows[0].synthesis.steps
    return [
        row
        for row in rows
        if row.name in _TIMED or (row.table == STEPS and row.synthesis.steps != usual)
    ]


def plainly(masks: MaskOptions, samples: pd.DataFrame) -> MaskOptions:
    """Return the method that `hybrid` is on these samples, where it is one for all types.

    Where no type, or every one, has a mean area ratio of `tau`, hybrid masks are those of image or
    of latent space alone; so they need not be made twice, and a row says that it shows nothing.
    """
    if masks.method != "hybrid":
        return masks
    spaces = set(area_ratio_table(samples, masks)["space"])
    return masks.model_copy(update={"method": spaces.pop()}) if len(spaces) == 1 else masks
