"""The trainings of an experiment, one per arm and seed, and what identifies each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.fingerprints import code_fingerprint, fingerprint
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import (
    ClassificationOptions,
    LocalizationOptions,
    ProtocolOptions,
)

_PLAIN = {"defect_type", "source", "sources"}


@dataclass(frozen=True, eq=False)
class Job:
    """One training.

    Attributes:
        corpus, category, arm, seed: What it is.
        rows: Its rows of the plan, in order.
        first: Whether it is the first seed, whose detector and overlays are kept.
        key: Fingerprint of all that decides its outcome.
    """

    corpus: str
    category: str
    arm: str
    seed: int
    rows: pd.DataFrame
    first: bool
    key: str


def make_jobs(
    task: str,
    plan: pd.DataFrame,
    bank: Bank,
    options: ClassificationOptions | LocalizationOptions,
    protocol: ProtocolOptions,
) -> list[Job]:
    """Return the trainings, seeds within arms within categories, in the plan's order.

    Only what decides an outcome is in the fingerprint: changing the number of bootstrap
    resamples, or adding an arm or a seed, repeats no training.
    """
    rows = plan[plan["task"] == task]
    how = protocol.model_dump(include={"select", "validation_share", "legacy"})
    jobs = []
    for (corpus, category), of_category in rows.groupby(["corpus", "category"], sort=False):
        material = list(_material(bank, str(category)))
        for arm, of_arm in of_category.groupby("arm", sort=False):
            shown = of_arm.sort_values("row").reset_index(drop=True)
            parts = (task, shown, options, how, material, _external(bank, str(arm)))
            made = fingerprint(*parts, code_fingerprint())
            for seed in protocol.seeds:
                first = seed == protocol.seeds[0]
                key = fingerprint(made, seed, first)
                jobs.append(Job(str(corpus), str(category), str(arm), seed, shown, first, key))
    return jobs


def count_synthetic(job: Job) -> int:
    """Return how many different images of the arm's own making a training set holds.

    Base images that an arm only shows again are not counted.
    """
    own = job.rows[job.rows["kind"] == "own"]
    return sum(not _is_plain(json.loads(text)) for text in set(own["recipe"]))


def _is_plain(recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe, or the one within a mixture's, is a real image and nothing more."""
    inner = recipe.get("recipe", recipe)
    return set(inner) <= _PLAIN and inner["sources"] == [inner["source"]]


def _material(bank: Bank, category: str) -> Iterator[object]:
    """What images are made of, beside the recipes."""
    yield bank.samples[bank.samples["category"] == category].to_csv(index=False)
    for image_set in (bank.synthetic, bank.masks):
        yield _of_category(image_set, category).to_csv(index=False)
    yield bank.synthesis.model_dump_json()
    yield bank.framing.model_dump_json()


def _of_category(image_set: ImageSet, category: str) -> pd.DataFrame:
    manifest = image_set.manifest
    return manifest[manifest["category"] == category] if "category" in manifest else manifest


def _external(bank: Bank, arm: str) -> list[object]:
    """Files of other systems' sets that the arm shows, by name, size and time."""
    found: list[object] = []
    for name, external in bank.external.items():
        if f"external:{name}" not in arm:
            continue
        for column in ("image", "mask"):
            for file in external.pairs[column]:
                stat = (external.root / file).stat()
                found.append([name, file, stat.st_size, stat.st_mtime_ns])
    return found
