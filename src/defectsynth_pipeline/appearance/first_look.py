"""Drafts within the first minute: real defects in new shapes on good parts, before any training.

What is seen here can be stopped before an hour is spent: masks that do not fit, a wrong `root`,
defects that land where none may be. They are drafts: no network, no certificate, and none of them
is published.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from defectsynth_pipeline.appearance.engines import Judged, Made, Tried, try_engines
from defectsynth_pipeline.corpora.split import assert_no_test
from defectsynth_pipeline.fingerprints import fingerprint
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import MaskOptions, SynthesisOptions
from defectsynth_pipeline.provenance import named_plan
from defectsynth_pipeline.rendering import ImageSetJob, render_set
from defectsynth_pipeline.shape.area import area_ratio_table
from defectsynth_pipeline.shape.plan import plan_masks
from defectsynth_pipeline.shape.render import render_masks

_MASKS = 6  # per type


def first_look(
    samples: pd.DataFrame, masks: MaskOptions, synthesis: SynthesisOptions, *, each: int = 2
) -> dict[str, list[Tried]]:
    """Return drafts by category, `each` per defect type and engine that needs no network.

    Args:
        samples: The table `samples`; only base and normal ones are read.
        masks: How masks are made; in image space, where latent space needs a network.
        synthesis: Placement, composition and seed.
        each: Drafts per type and engine.

    Raises:
        InputError: What the stages raise: a type with one mask, a category without good images.
    """
    seen = samples[samples["split"].isin(["base", "normal"])]
    assert_no_test(samples, seen["sha256"], "the first look")
    base = seen[seen["split"] == "base"]
    method = "image" if masks.method in ("hybrid", "latent") else masks.method
    few = masks.model_copy(update={"method": method, "count": _MASKS, "per": "type"})
    # Other modes leave the defect to the network: of these a draft would be an empty background.
    compose = synthesis.compose.model_copy(update={"mode": "exemplar"})
    options = synthesis.model_copy(update={"trials": each, "compose": compose})
    planned = plan_masks(base, area_ratio_table(base, few), few)
    key, alike = fingerprint(planned), dict.fromkeys(base["sample_id"], 0)
    with TemporaryDirectory() as folder:
        render = partial(render_masks, samples=base, options=few)
        job = ImageSetJob(key, named_plan(planned, key), render)
        made = ImageSet.open(render_set(job, Path(folder)).folder)
        return {
            str(category): list(try_engines(rows, made, options, _unjudged, alike))
            for category, rows in seen.groupby("category", sort=True)
        }


def _unjudged(made: Made) -> Judged:
    return Judged(True, made.mask, {})
