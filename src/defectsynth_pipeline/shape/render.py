"""Stage 1: from a plan to masks, row by row, each by the best way that gives a plausible one."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import Rendered
from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.shape.attempts import attempts_at, cleaned
from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.latent_space import interpolate_latents
from defectsynth_pipeline.shape.parents import TYPE, Parents, base_types
from defectsynth_pipeline.shape.plan import plan_masks
from defectsynth_pipeline.shape.plausibility import why_implausible

if TYPE_CHECKING:
    from defectsynth_pipeline.base_model.loading import BaseModel

__all__ = ["plan_masks", "render_masks"]

_log = logging.getLogger(__name__)


def render_masks(
    plan_rows: pd.DataFrame,
    samples: pd.DataFrame,
    options: MaskOptions,
    base_model: BaseModel | None = None,
) -> Iterator[Rendered]:
    """Make the masks of some plan rows.

    A mask depends on its row and the base masks only, not on the other rows. Every mask is
    nonempty and checked against the base masks; `record` says by which way it came: space
    (where it was really made), way ("interpolated", "parts" for cracks made of strokes,
    "varied", "warped" for one bent real mask, "copied", "random"), rejected (reasons of the
    attempts before it), area_ratio, stroke_width.

    Args:
        plan_rows: Any rows of `plan_masks`.
        samples: The `samples` table.
        options: The options the plan was made with.
        base_model: Needed if a row's space is "latent".

    Yields:
        One item per row, `arrays["mask"]` bool (height, width).
    """
    groups = dict(base_types(samples))
    ways: Counter[str] = Counter()
    for name, rows in plan_rows.groupby(TYPE, sort=True):
        if name not in groups:
            raise InputError(
                "the plan names a defect type without base masks",
                file="defect_masks",
                value="/".join(map(str, name)),
                remedy="plan the masks again from the same samples",
            )
        first = rows.iloc[0]
        size = int(first["height"]), int(first["width"])
        parents = Parents(groups[name], size, options.tolerance)
        latent = _latent_masks(rows, parents, options, base_model)
        for _, row in rows.iterrows():
            rendered = _render(row, parents, options, latent.get(str(row["image_id"])))
            ways[f"{rendered.record['space']}/{rendered.record['way']}"] += 1
            yield rendered
    _log.info("masks by space and way: %s", dict(ways))


def _latent_masks(
    rows: pd.DataFrame, parents: Parents, options: MaskOptions, base_model: BaseModel | None
) -> dict[str, np.ndarray]:
    """What latent interpolation gives for the rows that ask for it; may be empty masks."""
    wanted = rows[rows["space"] == "latent"]
    if wanted.empty:
        return {}
    if base_model is None:
        raise InputError(
            "latent interpolation needs a base model",
            value="/".join(rows.iloc[0][TYPE]),
            remedy="pass base_model, or set masks.method=image",
        )
    return interpolate_latents(wanted, parents.masks, parents.size, base_model, options.latent)


def _render(
    row: pd.Series, parents: Parents, options: MaskOptions, latent: np.ndarray | None
) -> Rendered:
    rejected: list[str] = []
    attempts = cleaned(attempts_at(row, parents, options, latent), parents.bounds.parts)
    space, way, mask = next(attempts)
    while reason := _check(mask, row, parents, way):
        rejected.append(f"{'latent' if space == 'latent' else way}:{reason}")
        space, way, mask = next(attempts)
    record = {
        "space": space,
        "way": way,
        "rejected": ",".join(rejected),
        "area_ratio": float(mask.mean()),
        "stroke_width": measure(mask).width,
    }
    return Rendered(str(row["image_id"]), {"mask": mask}, record)


def _check(mask: np.ndarray, row: pd.Series, parents: Parents, way: str) -> str:
    """Why a mask is not acceptable, or ""; random ones only have to have a plausible area."""
    if not mask.any():
        return "empty"
    if way == "copied":
        return ""
    if way == "random":
        low, high = parents.bounds.area
        return "" if low <= int(mask.sum()) <= high else "area"
    pair = [parents.measures[sample] for sample in str(row["parents"]).split("|")]
    return why_implausible(measure(mask), parents.bounds, pair if parents.branching else [])
