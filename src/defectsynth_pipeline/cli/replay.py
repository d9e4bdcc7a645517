"""One image rendered again from what is recorded of it, and compared pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from defectsynth_pipeline.cli.lineage import SET, Found, explain
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import code_fingerprint
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import FramingOptions, SynthesisOptions
from defectsynth_pipeline.pipelines.synthesis.nodes import ROOMS, made_with, set_fingerprint
from defectsynth_pipeline.provenance import named_plan
from defectsynth_pipeline.rendering import Rendered
from defectsynth_pipeline.schemas import read_table
from defectsynth_pipeline.workers import one_thread

_AGAIN = "make the set again to have images that can be replayed"


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        compared: "image" and "mask" to what was found.
        changed: What is no longer as it was when the image was made.
        same: Every pixel of both is the same.
    """

    compared: dict[str, str]
    changed: list[str]
    same: bool


def replay(found: Found) -> Outcome:
    """Render an image again, in the batch and group it was rendered in.

    Raises:
        InputError: What it was made from is gone, or it is not known with which settings or in
            which batch it was made.
    """
    from defectsynth_pipeline.appearance.adaptation import FinetunedModel
    from defectsynth_pipeline.appearance.render import render_plan
    from defectsynth_pipeline.base_model.loading import load_base_model
    from defectsynth_pipeline.certificate.certificate import Certificate
    from defectsynth_pipeline.certificate.judging import judge_with

    if "batch" not in found.row:
        raise InputError(
            "the set was made by a release that did not note the batches of its images",
            file=found.root,
            remedy=_AGAIN,
        )
    settings = _settings(found)
    model = found.path("controlnet")
    base = FinetunedModel.load(model).attach(load_base_model(settings["base_model"]))
    plan = read_table(found.path("synthesis_plan"), "synthesis_plan")
    options = SynthesisOptions.model_validate(settings["synthesis"])
    framing = FramingOptions.model_validate(settings["framing"])
    samples = found.samples.reset_index(drop=True)
    row = found.row
    whole = (plan, options, framing, row["model"], found.masks, samples, row["code"])
    if set_fingerprint(*whole) != row["of_set"]:
        raise InputError(
            "these are not the settings and sources that the image was made with",
            file=found.root,
            value=f"set {row['of_set']}, these would give {set_fingerprint(*whole)}",
            remedy="give the environment it was made in (--env), and restore conf/ and the versions"
            " that `defectsynth explain` names",
        )
    named = named_plan(plan, row["of_set"])
    batch = named[named["batch"] == row["batch"]]
    with one_thread():
        (again,) = render_plan(
            batch[batch["image_id"] == row["image_id"]],
            batch,
            samples=samples,
            masks=found.masks,
            base=base,
            options=options,
            framing=framing,
            judge=judge_with(Certificate.load(found.path("certificate"))),
        )
    return _compared(found, again, _changed(found, base))


def _settings(found: Found) -> dict[str, Any]:
    """Parameters and base model, as the run noted them; else those of the project."""
    project = found.project
    told = {name: project.parameters[name] for name in ("synthesis", "framing")}
    told["base_model"] = project.catalog["base_model"]["model"]
    for entry in ("controlnet", SET):
        version = found.version if entry == SET else found.versions[entry]
        record = project.record(entry, version, found.part)
        noted = record["settings"] if record is not None else {}
        told |= {name: noted[name] for name in told if name in noted}
    return told


def _changed(found: Found, base: Any) -> list[str]:
    row, code = found.row, code_fingerprint(*ROOMS)
    here = made_with(base)
    changed = []
    if code != row["code"]:
        changed.append(f"code: {row['code']} then, {code} now")
    if base.fingerprint != row["model"]:
        changed.append(f"weights: {row['model']} then, {base.fingerprint} now")
    if here != row["made_with"]:
        then, now = (set(text.split(", ")) for text in (row["made_with"], here))
        before, after = (", ".join(sorted(part)) for part in (then - now, now - then))
        changed.append(f"libraries: {before} then, {after} now")
    for source in explain(found)["sources"]:
        if source["now"] != "unchanged":
            changed.append(f"{source['role']}: {source['file']} is {source['now']}")
    return changed


def _compared(found: Found, again: Rendered, changed: list[str]) -> Outcome:
    published = ImageSet.open(found.root)
    compared, same = {}, again.rejected == found.rejected
    for name, now in again.arrays.items():
        then = published.array(again.image_id, name)
        if now.shape != then.shape or now.dtype != then.dtype:
            compared[name] = f"{now.dtype} {now.shape}, was {then.dtype} {then.shape}"
        elif other := int(np.count_nonzero(now != then)):
            most = np.abs(now.astype(np.int64) - then.astype(np.int64)).max()
            compared[name] = f"{other} of {now.size} values differ, by {most} at most"
        else:
            compared[name] = "identical"
        same &= compared[name] == "identical"
    return Outcome(compared, changed, same)
