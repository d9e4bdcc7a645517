"""How long an ablation takes, before it begins: seconds per step, corrected by what steps took.

`SECONDS` were measured on two cores with the compact model. Every step that is really done notes
what was expected of it and what it took; the ratio corrects the next estimate on that machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from defectsynth_pipeline.ablation.judging import Judges
from defectsynth_pipeline.ablation.rows import Recipe, Row, plainly, timed_rows
from defectsynth_pipeline.ablation.shots import shot_samples
from defectsynth_pipeline.arms.plan import skipped_categories
from defectsynth_pipeline.options import (
    AblationOptions,
    FinetuneOptions,
    LocalizationOptions,
    ProtocolOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.publishing import written_whole
from defectsynth_pipeline.shape.area import area_ratio_table
from defectsynth_pipeline.shape.parents import base_types

SECONDS = {
    "finetune": 0.036,  # per step and image of a batch
    "certificate": 0.05,  # per null of a category
    "masks": 0.02,
    "latent_masks": 0.11,
    "images": 0.12,  # beside the network
    "denoising": 0.03,  # per image and step
    "engines": 0.35,  # per trial of an engine
    "quality": 0.03,  # per image
    "classification": 45.0,  # per arm and category
    "localization": 0.25,  # per step
}


class Task(NamedTuple):
    """A step of an ablation.

    Attributes:
        part: "table", "cost" or "shots".
        row: What it is done for; what rows share stands at the first of them.
        step: A stage, as `Clock` knows it.
        made: How many of it.
        seconds: That it is expected to take.
    """

    part: str
    row: str
    step: str
    made: int
    seconds: float


class Clock:
    """What steps were expected to take on this machine, and what they took.

    Args:
        file: Where it is kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        text = file.read_text(encoding="utf-8") if file.exists() else "{}"
        self._seen: dict[str, list[float]] = json.loads(text)

    def note(self, step: str, expected: float, took: float) -> None:
        """Note what a step took that was done wholly."""
        self._seen[step] = [expected, took]
        with written_whole(self._file) as aside:
            aside.write_text(json.dumps(self._seen, indent=1) + "\n", encoding="utf-8")

    @property
    def measured(self) -> list[str]:
        """The steps of which it is known how long they take here."""
        return sorted(self._seen)

    def seconds(self, step: str, expected: float) -> float:
        """Return what a step will take, as far as it is known."""
        was, took = self._seen.get(step, (1.0, 1.0))
        return expected * took / was


def finetune_seconds(options: FinetuneOptions, steps: int) -> float:
    """Expected of `steps` steps on the reference machine."""
    return SECONDS["finetune"] * steps * options.batch_size * options.gradient_accumulation


def certificate_seconds(samples: pd.DataFrame, options: SynthesisOptions) -> float:
    """Expected of the certificates of all categories."""
    return SECONDS["certificate"] * options.nulls * samples["category"].nunique()


def mask_seconds(latent: int, others: int) -> float:
    """Expected of so many masks."""
    return SECONDS["latent_masks"] * latent + SECONDS["masks"] * others


def image_seconds(count: int, options: SynthesisOptions) -> float:
    """Expected of so many images, one attempt at each."""
    steps = int(options.steps * options.strength)
    return count * (SECONDS["images"] + SECONDS["denoising"] * steps)


def engine_seconds(samples: pd.DataFrame, options: SynthesisOptions) -> float:
    """Expected of the choice of engines."""
    tried = 3 * options.trials if options.engine == "auto" else 0
    return SECONDS["engines"] * tried * len(list(base_types(samples)))


def detector_seconds(
    samples: pd.DataFrame, task: str, options: LocalizationOptions, protocol: ProtocolOptions
) -> float:
    """Expected of one arm in all categories and seeds."""
    categories = samples["category"].nunique() - len(skipped_categories(samples, task))
    if task == "classification":
        return SECONDS[task] * categories
    steps = options.training.steps_among(categories) or 1000
    return SECONDS[task] * categories * steps * len(protocol.seeds)


def estimate(
    rows: Sequence[Row],
    samples: pd.DataFrame,
    options: AblationOptions,
    recipe: Recipe,
    judges: Judges,
    clock: Clock,
) -> pd.DataFrame:
    """Return the steps that an ablation has from its beginning, in order: columns of `Task`.

    Args:
        rows: From `plan_rows`.
        samples: The table `samples`.
        options: Which parts, how many images.
        recipe: How they are made.
        judges: How detectors are trained.
        clock: What is known of this machine.
    """
    tasks: list[Task] = []
    if {"table", "cost"} & set(options.parts):
        tasks += _of_base(samples, recipe, "table", "all")
    if "table" in options.parts:
        tasks += _of_rows(rows, samples, options, judges)
    if "cost" in options.parts:
        tasks += _of_cost(timed_rows(rows), options)
    if "shots" in options.parts:
        for name, cut in shot_samples(samples, options, recipe.ingest.seed):
            tasks += _of_shots(name, cut, options, recipe, judges)
    table = pd.DataFrame(tasks, columns=list(Task._fields))
    pairs = zip(table["step"], table["seconds"], strict=True)
    return table.assign(seconds=[clock.seconds(step, expected) for step, expected in pairs])


def _of_base(samples: pd.DataFrame, recipe: Recipe, part: str, row: str) -> Iterator[Task]:
    steps = recipe.finetune.optimizer_steps(int((samples["split"] == "base").sum()))
    yield Task(part, row, "finetune", steps, finetune_seconds(recipe.finetune, steps))
    nulls = recipe.synthesis.nulls * samples["category"].nunique()
    yield Task(part, row, "certificate", nulls, certificate_seconds(samples, recipe.synthesis))


def _of_rows(
    rows: Sequence[Row], samples: pd.DataFrame, options: AblationOptions, judges: Judges
) -> Iterator[Task]:
    made: set[object] = set()
    for row in rows:
        plain = plainly(row.masks, samples)
        key = plain.model_dump_json(), row.synthesis.model_dump_json()
        if key[0] not in made:
            spaces = area_ratio_table(samples, plain)["space"]
            latent = options.count * int((spaces == "latent").sum())
            total = options.count * len(spaces)
            yield Task("table", row.name, "masks", total, mask_seconds(latent, total - latent))
        if key not in made:
            total = options.count * len(list(base_types(samples)))
            yield Task("table", row.name, "images", total, image_seconds(total, row.synthesis))
            yield Task("table", row.name, "quality", total, SECONDS["quality"] * total)
            if options.downstream:
                arms = 1 if made else 2  # `base` beside the first
                yield from _of_detectors("table", row.name, arms, samples, judges)
        made |= {key[0], key}


def _of_detectors(
    part: str, row: str, arms: int, samples: pd.DataFrame, judges: Judges
) -> Iterator[Task]:
    for task in ("classification", "localization"):
        options = getattr(judges, task)
        seconds = detector_seconds(samples, task, options, judges.protocol)
        yield Task(part, row, task, arms, arms * seconds)


def _of_cost(rows: Sequence[Row], options: AblationOptions) -> Iterator[Task]:
    for row in rows:
        count = options.cost_images * (options.cost_repeats + 1)
        seconds = image_seconds(count, row.synthesis) + mask_seconds(0, 4 * count)
        yield Task("cost", row.name, "images", count, seconds)


def _of_shots(
    name: str,
    samples: pd.DataFrame,
    options: AblationOptions,
    recipe: Recipe,
    judges: Judges,
) -> Iterator[Task]:
    row, types = f"{name} shots", len(list(base_types(samples)))
    yield from _of_base(samples, recipe, "shots", row)
    total = options.count * types
    yield Task("shots", row, "masks", total, mask_seconds(0, total))
    trials = recipe.synthesis.trials * types
    yield Task("shots", row, "engines", trials, engine_seconds(samples, recipe.synthesis))
    yield Task("shots", row, "images", total, 2 * image_seconds(total, recipe.synthesis))
    yield Task("shots", row, "quality", total, SECONDS["quality"] * total)
    yield from _of_detectors("shots", row, 3, samples, judges)
