"""The synthesis plan: everything random about an image, decided before any is rendered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.appearance.framing import resize
from defectsynth_pipeline.appearance.placement import (
    STAY,
    Placement,
    lay_over,
    part_map,
    place_on_part,
    share_on_part,
)
from defectsynth_pipeline.base_model.prompts import prompt_for
from defectsynth_pipeline.corpora.reading import load_image, load_mask, to_float
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import PromptOptions, SynthesisOptions
from defectsynth_pipeline.shape.plan import split_count

TRIES = 8  # backgrounds tried before the best of them is taken
ON_PART = 0.9  # share of a placed mask that must lie on the part, relative to its parent's


def plan_synthesis(
    samples: pd.DataFrame, masks: ImageSet, options: SynthesisOptions, prompts: PromptOptions
) -> pd.DataFrame:
    """Return a row per image to make.

    Columns: image_id, category, defect_type, mask, background, reference (sample ids of base and
    normal rows only), prompt, normal_prompt, group (images fused together), seed, placement
    (part or as_is) and its angle (degrees), dy, dx, centre_y, centre_x (pixels of the background).

    Raises:
        InputError: A category has no normal images to put defects on.
    """
    rows: list[dict[str, Any]] = []
    kinds = list(masks.manifest.groupby(["category", "defect_type"], sort=True))
    counts = split_count(options.count, options.per, len(kinds))
    for (kind, own), count in zip(kinds, counts, strict=True):
        category, defect_type = map(str, kind)
        placer = _Placer(samples, masks, category, defect_type, options)
        for i in range(count):
            mask = own.iloc[i % len(own) if count >= len(own) else i * len(own) // count]
            rows.append(placer.row(i, mask, prompts))
    return pd.DataFrame(rows)


class _Placer:
    """Chooses background, reference and place for the masks of one defect type."""

    def __init__(
        self,
        samples: pd.DataFrame,
        masks: ImageSet,
        category: str,
        defect_type: str,
        options: SynthesisOptions,
    ) -> None:
        mine = samples[samples["category"] == category].set_index("sample_id", drop=False)
        self.normals = mine[mine["split"] == "normal"].sort_index()
        self.real = mine[(mine["split"] == "base") & (mine["defect_type"] == defect_type)]
        self.real = self.real.sort_index()
        self.masks, self.options = masks, options
        self.category, self.defect_type = category, defect_type
        if self.normals.empty:
            raise InputError(
                "no defect-free images to put defects on",
                value=category,
                remedy="add images to the category's train/good folder",
            )
        self._parts: dict[str, np.ndarray | None] = {}
        self._over: dict[tuple[str, str], Any] = {}

    def row(self, number: int, mask: Any, prompts: PromptOptions) -> dict[str, Any]:
        slug = re.sub(r"[^A-Za-z0-9-]+", "-", f"{self.category}_{self.defect_type}").strip("-")
        kind = f"{slug or 'x'}_{counter_seed(self.category, self.defect_type) % 9973:04d}"
        image_id = f"{kind}_{number:05d}"
        rng = np.random.default_rng(counter_seed(self.options.seed, image_id))
        reference = self.real.index[rng.integers(len(self.real))]
        background, placement = self._place(mask, rng)
        return {
            "image_id": image_id,
            "category": self.category,
            "defect_type": self.defect_type,
            "mask": mask["image_id"],
            "background": background,
            "reference": reference,
            "prompt": prompt_for(prompts, self.category, self.defect_type),
            "normal_prompt": prompt_for(prompts, self.category, "good"),
            "group": f"{kind}_{number // self.options.sff.group:05d}",
            "seed": int(rng.integers(1 << 62)),
            "placement": "as_is" if placement == STAY else "part",
            **asdict(placement),
        }

    def _place(self, mask: Any, rng: np.random.Generator) -> tuple[str, Placement]:
        order = rng.permutation(len(self.normals))[:TRIES]
        first = str(self.normals.index[order[0]])
        parents = [p for p in str(mask["parents"]).split("|") if p in self.real.index]
        if self.options.placement == "as_is" or not parents or self._part(parents[0]) is None:
            return first, STAY
        parent = parents[-1] if float(mask["alpha"]) >= 0.5 else parents[0]
        best: tuple[float, str, Placement] = (0.0, first, STAY)
        for place in order:
            background = str(self.normals.index[place])
            found = self._try(mask, parent, background)
            if found is not None and found[0] > best[0]:
                best = (found[0], background, found[1])
            if best[0] >= ON_PART * self._own_share(parent):
                break
        return best[1], best[2]

    def _try(self, mask: Any, parent: str, background: str) -> tuple[float, Placement] | None:
        source, target = self._part(parent), self._part(background)
        if source is None or target is None:
            return None
        key = (parent, background)
        if key not in self._over:
            self._over[key] = lay_over(source, target)
        row = self.normals.loc[background]
        shape = (int(row["height"]), int(row["width"]))
        generated = fit_mask(self.masks.array(mask["image_id"], "mask"), shape)
        real = fit_mask(load_mask(self.real.loc[parent]), shape)
        placement = place_on_part(generated, real, self._over[key])
        placed = placement.apply(generated)
        kept = min(1.0, placed.sum() / max(generated.sum(), 1))
        return kept * share_on_part(placed, target), placement

    def _own_share(self, parent: str) -> float:
        """Return how much of a real defect lies on its part; missing material lies beside it."""
        part = self._part(parent)
        return 0.0 if part is None else share_on_part(load_mask(self.real.loc[parent]), part)

    def _part(self, sample_id: str) -> np.ndarray | None:
        if sample_id not in self._parts:
            frame = self.normals if sample_id in self.normals.index else self.real
            self._parts[sample_id] = part_map(to_float(load_image(frame.loc[sample_id])))
        return self._parts[sample_id]


def fit_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a mask (h, w) bool at another size; a stroke that would vanish keeps its pixels."""
    if mask.shape == tuple(shape):
        return mask
    fitted: np.ndarray = resize(mask, shape) >= 0.5
    return fitted if fitted.any() else resize(mask, shape) > 0


def placement_of(row: Mapping[str, Any]) -> Placement:
    """Return the placement written in a row of the plan."""
    names = ("angle", "dy", "dx", "centre_y", "centre_x")
    return Placement(**{name: float(row[name]) for name in names})
