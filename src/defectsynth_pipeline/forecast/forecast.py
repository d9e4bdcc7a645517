"""What a run will cost here: images, steps, minutes, memory, disk, and what will not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from defectsynth_pipeline.certificate.look import REAL_VIEWS, rounds_of
from defectsynth_pipeline.forecast.speed import Speed
from defectsynth_pipeline.options import (
    ArmOptions,
    ClassificationOptions,
    ExecutionOptions,
    FinetuneOptions,
    LocalizationOptions,
    MaskOptions,
    ProtocolOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.shape.plan import split_count

_MB, _GB = 1e6, 1e9
_HEADS = 120.0  # views: what judging the engines of a category costs
_TRIAL = 2.0  # of an image: its place is looked for, and patches cost more than a transfer
_TRIED = 3  # engines
_TRAINED = 1.5e6  # bytes of activations per image and 64 px of side squared, in fine-tuning
_PROCESS = 0.9e9  # bytes of a process with its libraries
_WORKER = 0.4e9  # bytes of a further one, which shares them
_LOG = 30e6  # bytes of tables, figures and records
_EFFICIENCY = 0.9  # of workers beside one another


class Settings(NamedTuple):
    """The options that a cost depends on."""

    masks: MaskOptions
    finetune: FinetuneOptions
    synthesis: SynthesisOptions
    arms: ArmOptions
    classification: ClassificationOptions
    localization: LocalizationOptions
    protocol: ProtocolOptions
    execution: ExecutionOptions

    def of_categories(self, categories: int) -> Settings:
        """Return the settings with the localizer's steps as a number."""
        training = self.localization.training
        counted = training.model_copy(update={"steps": training.steps_among(categories)})
        localization = self.localization.model_copy(update={"training": counted})
        return self._replace(localization=localization)


class Facts(NamedTuple):
    """What the samples, the model and the machine are.

    Attributes:
        samples: The table `samples`.
        capacity: Masks that the base masks can give, by (category, defect type).
        latent: Share of the masks that are interpolated in latent space.
        image_bytes: Of a file of the user's, mean.
        pixels: Of an image, mean.
        side: Px at which the model works.
        weights: Bytes of the networks that are fine-tuned and kept.
        model: Bytes of all networks in memory.
        workers: Processes that render.
        memory, disk: Bytes that are free.
    """

    samples: pd.DataFrame
    capacity: dict[tuple[str, str], int]
    latent: float
    image_bytes: float
    pixels: float
    side: int
    weights: float
    model: float
    workers: int
    memory: float
    disk: float


class Stage(NamedTuple):
    """One line: a stage, what it has to do, and the seconds that takes."""

    pipeline: str
    name: str
    work: str
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """What is to be expected.

    Attributes:
        stages: In the order in which they run.
        images: To be made.
        memory, disk: Bytes needed.
        warnings: What will not suffice, in words.
    """

    stages: list[Stage]
    images: int
    memory: float
    disk: float
    warnings: list[str]

    def minutes(self, pipeline: str = "") -> float:
        """Of one pipeline, or of both."""
        return sum(s.seconds for s in self.stages if pipeline in ("", s.pipeline)) / 60

    def lines(self, pipeline: str = "") -> Iterator[str]:
        """The numbers as a person reads them."""
        for stage in self.stages:
            if pipeline in ("", stage.pipeline):
                yield f"{stage.name:<22} {stage.work:<44} {_time(stage.seconds):>8}"
        yield (
            f"{self.images} images, about {self.minutes(pipeline):.0f} min, "
            f"{self.memory / _GB:.1f} GB of memory, {self.disk / _GB:.1f} GB of disk"
        )
        yield from (f"warning: {said}" for said in self.warnings)


def forecast(facts: Facts, speed: Speed, settings: Settings) -> Forecast:
    """Add up what the stages of both pipelines do, at a measured speed."""
    kinds = max(1, len(facts.capacity))
    images = sum(split_count(settings.synthesis.count, settings.synthesis.per, kinds))
    masks = sum(split_count(settings.masks.count, settings.masks.per, kinds))
    stages = [
        *_augment(facts, speed, settings, images, masks),
        *_downstream(facts, speed, settings),
    ]
    memory, disk = _memory(facts, settings), _disk(facts, images, masks)
    warnings = list(_warnings(facts, settings, memory, disk, images))
    return Forecast(stages, images, memory, disk, warnings)


def _augment(
    facts: Facts, speed: Speed, settings: Settings, images: int, masks: int
) -> Iterator[Stage]:
    finetune, synthesis = settings.finetune, settings.synthesis
    base = facts.samples[facts.samples["split"] == "base"]
    at_once = _at_once(facts)
    yield Stage("augment", "ingest, reports", f"{len(facts.samples)} real images",
                8 + 0.01 * len(facts.samples))  # fmt: skip
    batch = finetune.batch_size * finetune.gradient_accumulation
    encoded = len(base) * finetune.crops_per_sample * speed.denoised / 20
    steps = finetune.optimizer_steps(len(base))
    yield Stage("augment", "fine-tuning", f"{steps} steps of {batch} images",
                steps * batch * speed.step * 1.08 + encoded)  # fmt: skip
    seconds = 0.0
    for own in base["category"].value_counts():
        rounds = rounds_of(synthesis.nulls, own)
        views = REAL_VIEWS + 2 * rounds * (speed.windows - 1)
        seconds += own * (rounds * speed.nulls + views * speed.view)
    yield Stage("augment", "certificate", f"{len(base)} real defects", 1.2 * seconds / at_once)
    slow = masks * facts.latent
    yield Stage("augment", "masks", f"{masks} masks",
                (masks - slow) * speed.mask + slow * speed.latent_mask)  # fmt: skip
    judged = 2 * speed.view
    if synthesis.engine == "auto":
        trials = len(facts.capacity) * _TRIED * synthesis.trials
        heads = facts.samples["category"].nunique() * _HEADS * speed.view
        yield Stage("augment", "choice of engines", f"{trials} trials",
                    (trials * _TRIAL * (speed.begun + judged) + heads) / at_once)  # fmt: skip
    each = speed.begun + speed.denoised * (2 / 3 if synthesis.engine == "auto" else 1) + 2 * judged
    yield Stage("augment", "rendering", f"{images} images by {facts.workers} processes",
                images * (each + 0.008) / at_once)  # fmt: skip


def _downstream(facts: Facts, speed: Speed, settings: Settings) -> Iterator[Stage]:
    categories = facts.samples["category"].nunique()
    tests = int((facts.samples["split"] == "test").sum())
    trained = [arm for arm in settings.arms.names if arm != "normals_only"]
    seeds = len(settings.protocol.seeds)
    types = pd.Series(list(facts.capacity)).str[0].value_counts() if facts.capacity else []
    several = sum(count > 1 for count in types)
    if several:
        rows = len(trained) * settings.classification.training_set.count
        yield Stage("downstream", "classification", f"{several} categories, {len(trained)} arms",
                    several * (rows * 4 * speed.view + 75) / _at_once(facts))  # fmt: skip
    options = settings.localization
    sizes = [(options.training.steps_among(categories) or 100, len(trained) * seeds + 1)]
    if options.paper is not None:
        beside = len(options.paper.arms) * min(options.paper.seeds, seeds) + 1
        sizes.append((options.paper.steps, beside))
    steps = sum(steps * count for steps, count in sizes)
    count = categories * sum(count for _, count in sizes)
    prepared = categories * len(trained) * options.training_set.count * 1.5 * speed.begun
    tested = count / max(categories, 1) * tests * speed.view * 2
    seconds = categories * steps * speed.detector_step * 1.15 + prepared + tested
    yield Stage("downstream", "localization", f"{count} trainings by {facts.workers} processes",
                seconds / _at_once(facts))  # fmt: skip


def _at_once(facts: Facts) -> float:
    return 1 + (facts.workers - 1) * _EFFICIENCY


def _memory(facts: Facts, settings: Settings) -> float:
    """Of the largest stage: crops and their optimizer, or the workers and what they keep."""
    base = int((facts.samples["split"] == "base").sum())
    crops = 2 * base * settings.finetune.crops_per_sample * facts.side**2 * 1.2
    learnt = 5 * facts.weights
    area = (facts.side / 64) ** 2
    active = settings.finetune.batch_size * area * _TRAINED * max(1.0, facts.weights / 30e6)
    rendering = facts.workers * (facts.model + 128 * 4 * facts.pixels)
    rendering += (facts.workers - 1) * _WORKER
    return _PROCESS + facts.model + max(crops + learnt + active, rendering)


def _disk(facts: Facts, images: int, masks: int) -> float:
    written = images * (facts.image_bytes + 4e3) + masks * 3e3
    # The networks once, and their checkpoint: weights, two moments, the best so far.
    return written + 5 * facts.weights + _LOG


def _warnings(
    facts: Facts, settings: Settings, memory: float, disk: float, images: int
) -> Iterator[str]:
    counts = split_count(settings.masks.count, settings.masks.per, len(facts.capacity))
    short = [
        f"{category}/{kind} {most} of {count}"
        for ((category, kind), most), count in zip(facts.capacity.items(), counts, strict=True)
        if most < count
    ]
    if short:
        yield (
            "the base masks give fewer different masks by interpolation than are asked for, and "
            f"the others are varied: {', '.join(short)}"
        )
    if memory > facts.memory:
        yield (
            f"memory: {memory / _GB:.1f} GB needed, {facts.memory / _GB:.1f} free: lower "
            "execution.workers, finetune.batch_size or finetune.crops_per_sample"
        )
    if disk > facts.disk:
        yield f"disk: {disk / _GB:.1f} GB needed, {facts.disk / _GB:.1f} free: make fewer images"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
