"""The synthesis plan: everything random about an image, decided before any is rendered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.appearance.batching import batched
from defectsynth_pipeline.appearance.placement import (
    choose_on_part,
    lies_on_part,
    mask_on_part,
    part_of,
    place_defect,
    tried,
)
from defectsynth_pipeline.appearance.within import into_zones
from defectsynth_pipeline.base_model.loading import prompt_for
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.corpora.zones import ZONES
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.motion import STAY, Motion, landed_mask
from defectsynth_pipeline.imaging.pixels import fit_mask
from defectsynth_pipeline.options import PromptOptions, SynthesisOptions
from defectsynth_pipeline.resumable import Progress
from defectsynth_pipeline.schemas import table_of
from defectsynth_pipeline.shape.geometry import Contact, contact, cut_alike
from defectsynth_pipeline.shape.plan import split_count

TRANSFER, PASTE, PATCH, DIFFUSION = "transfer", "paste", "patch", "diffusion"  # engines
_OTHERS = 1  # real defects that patches come from, beside the reference: more are averaged away
HARD, FEATHER, MEMBRANE = "hard", "feather", "membrane"  # blends
# Several, so that a detector cannot learn the one trace that all images share.
_BLENDS = {PASTE: (FEATHER, MEMBRANE), TRANSFER: (HARD, FEATHER), PATCH: (HARD, FEATHER)}
_WIDE = 8.0  # px: of a thinner defect a hard end cuts off the shoulders, which are half of it
_BROADLY = 0.1  # of a side of the frame: cracks that run out of an image cover less
_FITTED = 32  # masks tried until one fits into the zones
_SEVERITY = (0.8, 1.25)  # of the defect's residual, drawn on a log scale
# What every attempt draws anew.
DRAWN = (
    *("mask", "background", "reference", "others", "severity", "blend", "seed", "placement"),
    *("angle", "dy", "dx", "centre_y", "centre_x", "scale"),
)
_FIRST = DRAWN[:6]  # columns before the prompt


def plan_synthesis(
    samples: pd.DataFrame,
    masks: ImageSet,
    engines: pd.DataFrame,
    options: SynthesisOptions,
    prompts: PromptOptions,
) -> pd.DataFrame:
    """Return a row per image to make: the first attempt at it.

    Columns: image_id, category, defect_type, engine, mask, background, reference (sample ids of
    base and normal rows only; the mask's own parent), others (base samples that patches are taken
    from as well, joined by |), severity, blend (at the border: hard, feather or membrane), prompt,
    normal_prompt, group (images fused together), batch (groups rendered together), seed, placement
    (part; as_is, where the mask lies; or texture, where the surroundings are like those of the
    defect) and its angle (degrees), dy, dx, centre_y, centre_x (pixels of the background) and
    scale. `engines` is the table `engine_choice`.

    Raises:
        InputError: A category has no normal images to put defects on.
    """
    rows = _rows(samples, masks, engines, options, prompts)
    return batched(table_of(rows), options.batch_size)


def _rows(
    samples: pd.DataFrame,
    masks: ImageSet,
    engines: pd.DataFrame,
    options: SynthesisOptions,
    prompts: PromptOptions,
) -> Iterator[dict[str, Any]]:
    kinds = list(masks.manifest.groupby(["category", "defect_type"], sort=True))
    counts = split_count(options.count, options.per, len(kinds))
    progress, done = Progress("planning image", sum(counts)), 0
    for (kind, own), count in zip(kinds, counts, strict=True):
        category, defect_type = map(str, kind)
        placer = Placer(samples, masks, category, defect_type, options.placement)
        of_type = (engines["category"] == category) & (engines["defect_type"] == defect_type)
        shares = engines[of_type].set_index("engine")["share"]
        turns = _turns(shares, -(-count // options.sff.group))
        for i in range(count):
            mask = own.iloc[i % len(own) if count >= len(own) else i * len(own) // count]
            yield _row(placer, i, turns[i // options.sff.group], mask, options, prompts)
            progress(done := done + 1)


def _turns(shares: pd.Series, count: int) -> list[str]:
    """Whose turn it is, `count` times: the engine that is furthest behind its share."""
    given, turns = dict.fromkeys(shares.index, 0), []
    for number in range(1, count + 1):
        due = {engine: share * number - given[engine] for engine, share in shares.items()}
        turns.append(max(due, key=lambda engine: due[engine]))
        given[turns[-1]] += 1
    return turns


def redrawer(
    samples: pd.DataFrame, masks: ImageSet, placement: str
) -> Callable[[Any, int], dict[str, Any]]:
    """Return a function from a row of the plan and the number of an attempt to what is drawn anew.

    Attempt k of a row draws its mask, reference, background, place and seed from
    counter_seed(the row's seed, k), so that the plan still decides everything; 0 is the row.
    """

    @lru_cache
    def placer(category: str, defect_type: str) -> Placer:
        return Placer(samples, masks, category, defect_type, placement)

    def redraw(row: Any, attempt: int) -> dict[str, Any]:
        if not attempt:
            return {}
        of_type = placer(row.category, row.defect_type)
        rng = np.random.default_rng(counter_seed(int(row.seed), attempt))
        return of_type.draw(of_type.own.iloc[rng.integers(len(of_type.own))], row.engine, rng)

    return redraw


def _row(
    placer: Placer,
    number: int,
    engine: str,
    mask: pd.Series,
    options: SynthesisOptions,
    prompts: PromptOptions,
) -> dict[str, Any]:
    category, defect_type = placer.category, placer.defect_type
    slug = re.sub(r"[^A-Za-z0-9-]+", "-", f"{category}_{defect_type}").strip("-")
    kind = f"{slug or 'x'}_{counter_seed(category, defect_type) % 9973:04d}"
    image_id = f"{kind}_{number:05d}"
    rng = np.random.default_rng(counter_seed(options.seed, image_id))
    drawn = placer.draw(mask, engine, rng)
    return {
        "image_id": image_id,
        "category": category,
        "defect_type": defect_type,
        "engine": engine,
        **{name: drawn.pop(name) for name in _FIRST},
        "prompt": prompt_for(prompts, category, defect_type),
        "normal_prompt": prompt_for(prompts, category, "good"),
        "group": f"{kind}_{number // options.sff.group:05d}",
        **drawn,
    }


class Placer:
    """Chooses background, reference and place for the masks of one defect type."""

    def __init__(
        self,
        samples: pd.DataFrame,
        masks: ImageSet,
        category: str,
        defect_type: str,
        placement: str,
    ) -> None:
        mine = samples[samples["category"] == category].sort_values("sample_id")
        base = (mine["split"] == "base") & (mine["defect_type"] == defect_type)
        self.normals = [*each_sample(mine[mine["split"] == "normal"])]
        self.real = {sample.sample_id: sample for sample in each_sample(mine[base])}
        of_type = (masks.manifest["category"] == category) & (
            masks.manifest["defect_type"] == defect_type
        )
        parents = masks.manifest["parents"].astype(str).str.split("|")
        known = np.array([{*names} - {""} <= {*self.real} for names in parents], dtype=bool)
        self.own = masks.manifest[of_type & known]
        self.masks, self.placement = masks, placement
        self.category, self.defect_type = category, defect_type
        if not self.normals:
            raise InputError(
                "no defect-free images to put defects on",
                value=category,
                remedy="add images to the category's train/good folder",
            )

    def draw(self, mask: pd.Series, engine: str, rng: np.random.Generator) -> dict[str, Any]:
        """Draw what a mask is set on, where, and with which reference, severity, blend and seed.

        Args:
            mask: A row of the masks' manifest; its nearer parent is the reference.
            engine: With "paste" the reference itself is placed, wherever it may lie.
            rng: Source of all draws.

        Raises:
            InputError: Neither it nor another mask of the type fits into the category's zones.
        """
        if (drawn := self._drawn(mask, engine, rng)) is not None:
            return drawn
        for number in rng.permutation(len(self.own))[:_FITTED]:
            if (drawn := self._drawn(self.own.iloc[number], engine, rng)) is not None:
                return drawn
        raise InputError(
            "no mask of a type fits into the zones",
            file=Path(self.normals[0].root) / ZONES,
            value=f"{self.category}/{self.defect_type}, engine {engine}",
            remedy="widen the zones, or leave the type out with ingest.defect_types",
        )

    def _drawn(
        self, mask: pd.Series, engine: str, rng: np.random.Generator
    ) -> dict[str, Any] | None:
        """What is drawn for a mask; None if it fits into no zone."""
        parents = [p for p in str(mask["parents"]).split("|") if p in self.real]
        parents = parents or [[*self.real][rng.integers(len(self.real))]]
        nearest = parents[-1] if float(mask["alpha"]) >= 0.5 else parents[0]
        severity, others = float(np.exp(rng.uniform(*np.log(_SEVERITY)))), []
        if engine == PASTE:
            donor, severity = self.real[nearest], 1.0
            number, found = place_defect(donor, self.normals, rng)
            there = self.normals[number]
            land = partial(landed_mask, donor.mask(), shape=there.shape)
            motion: Motion | None = into_zones(found, there, land)
            placement = "part" if lies_on_part(donor, self.normals) else "texture"
        else:
            number, motion = self._place(mask, self.real[nearest], rng)
            placement = "as_is" if motion == STAY else "part"
        if motion is None:
            return None
        if engine == PATCH:
            others = list(rng.permutation(self._like(nearest)))
        return {
            "mask": mask["image_id"],
            "background": self.normals[number].sample_id,
            "reference": nearest,
            "others": "|".join(map(str, others[:_OTHERS])),
            "severity": severity,
            "blend": self._blend(mask, engine, rng),
            "seed": int(rng.integers(1 << 62)),
            "placement": placement,
            **asdict(motion),
        }

    def _like(self, name: str) -> list[str]:
        """The other real defects, of which patches go with those of this one.

        Not those that the frame cuts off broadly on another side: they show nothing of this one's
        border, and their patches leave ghosts in it.
        """
        cut = self._contacts
        others = [other for other in self.real if other != name]
        return [other for other in others if cut_alike(cut[name], cut[other], _BROADLY)]

    @cached_property
    def _contacts(self) -> dict[str, Contact]:
        return {name: contact(sample.mask()) for name, sample in self.real.items()}

    def _blend(self, mask: pd.Series, engine: str, rng: np.random.Generator) -> str:
        thin = float(mask["stroke_width"]) < _WIDE
        blends = [b for b in _BLENDS.get(engine, (FEATHER,)) if not (thin and b == HARD)]
        return str(rng.choice(blends))

    def _place(
        self, mask: pd.Series, parent: Sample, rng: np.random.Generator
    ) -> tuple[int, Motion | None]:
        order, real = tried(len(self.normals), rng), parent.mask()

        @cache
        def fitted(shape: tuple[int, int]) -> np.ndarray:
            return fit_mask(self.masks.array(mask["image_id"], "mask"), shape)

        def within(background: Sample, motion: Motion) -> Motion | None:
            return into_zones(motion, background, lambda to: to.warp(fitted(background.shape)))

        def attempt(background: Sample, over: Motion) -> tuple[Motion, np.ndarray, float]:
            own = fitted(background.shape)
            found = mask_on_part(own, fit_mask(real, background.shape), over)
            motion = within(background, found) or found
            return motion, motion.warp(own), own.sum()

        if self.placement == "as_is" or part_of(parent) is None:
            return order[0], within(self.normals[order[0]], STAY)
        number, motion = choose_on_part(parent, self.normals, order, STAY, attempt)
        return number, within(self.normals[number], motion)
