"""The trainings of an experiment: which detectors, arms, seeds and folds, and what decides each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from defectsynth_pipeline.arms.arm import NORMALS_ONLY
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.features.weights import choose_network, weights_file
from defectsynth_pipeline.fingerprints import code_fingerprint, fingerprint
from defectsynth_pipeline.inspection import linear, normals_only
from defectsynth_pipeline.inspection.results import MAIN, PAPER, WHERE
from defectsynth_pipeline.inspection.selection import can_hold_out
from defectsynth_pipeline.options import (
    ClassificationOptions,
    LocalizationOptions,
    PaperOptions,
    PaperUNetOptions,
    ProtocolOptions,
)

TaskOptions: TypeAlias = ClassificationOptions | LocalizationOptions
BASE = "base"  # the arm that detectors are compared by
# Whose code decides what a training set shows, how it is learnt from, and what is measured.
ROOMS = (
    "imaging",
    "corpora",
    "features",
    "shape",
    "appearance",
    "compact",
    "arms",
    "measures",
    "inspection",
)
_PLAIN = {"defect_type", "source", "sources"}
FROZEN = (linear.NETWORK, normals_only.NETWORK)  # they are fitted at once, not step by step


@dataclass(frozen=True)
class Detector:
    """A kind of detector that an experiment trains.

    Attributes:
        role: "main", or "paper" for the paper's, which is trained beside it.
        network: Its name.
        options: The task's, with the paper's values in their places.
        arms: It is trained with these only; None: with all.
        seeds: One training each.
    """

    role: str
    network: str
    options: TaskOptions
    arms: frozenset[str] | None
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Job:
    """One training.

    Attributes:
        corpus, category, arm, seed: What it is.
        detector: What is trained.
        fold: The part of the base that is held out; None: nothing is.
        rows: Its rows of the plan, in order.
        key: Fingerprint of all that decides its outcome.
    """

    corpus: str
    category: str
    detector: Detector
    arm: str
    seed: int
    fold: int | None
    rows: pd.DataFrame
    key: str

    @property
    def network(self) -> str:
        """The detector's network; an arm that trains nothing has its own."""
        return normals_only.NETWORK if self.arm == NORMALS_ONLY else self.detector.network

    @property
    def first(self) -> bool:
        """Whether it is the one whose detector and overlays are kept."""
        return self.fold is None and self.seed == self.detector.seeds[0]

    @property
    def where(self) -> dict[str, Any]:
        """`results.WHERE` by name."""
        of_self = {name: getattr(self, name) for name in WHERE if name != "detector"}
        return {name: of_self.get(name, self.network) for name in WHERE}

    @property
    def of_arm(self) -> tuple[str, str, str, str]:
        """What seeds and folds have in common: corpus, category, network of the detector, arm."""
        return self.corpus, self.category, self.detector.network, self.arm

    @property
    def name(self) -> str:
        """Arm, seed and fold in words, then of what: "base seed 0 (flange, lite0)"."""
        fold = "" if self.fold is None else f" fold {self.fold}"
        return f"{self.arm} seed {self.seed}{fold} ({self.category}, {self.network})"


def detectors(options: TaskOptions, protocol: ProtocolOptions) -> list[Detector]:
    """Return the main detector, and the paper's beside it where that is another.

    Raises:
        InputError: `training.weights` names a file that is missing, or no network.
    """
    resnet, weights = "resnet18", options.training.weights
    if isinstance(options, LocalizationOptions):
        network = choose_network(options.encoder, resnet, weights)
    else:
        network = linear.NETWORK if options.network in ("auto", "linear") else options.network
    main = Detector(MAIN, network, options, None, tuple(protocol.seeds))
    paper = options.paper
    if paper is None or paper.network == network:
        return [main]
    seeds = tuple(protocol.seeds[: paper.seeds])
    beside = Detector(PAPER, paper.network, _as_paper(options, paper), frozenset(paper.arms), seeds)
    return [main, beside]


def _as_paper(options: TaskOptions, paper: PaperOptions) -> TaskOptions:
    training = options.training.model_copy(update={"steps": paper.steps, "epochs": None})
    values: dict[str, Any] = {"side": paper.side, "training": training, "paper": None}
    if isinstance(paper, PaperUNetOptions):
        values["patch"] = paper.patch
    return options.model_copy(update=values)


def make_jobs(
    task: str, plan: pd.DataFrame, bank: Bank, options: TaskOptions, protocol: ProtocolOptions
) -> list[Job]:
    """Return the trainings of a task, in order of category and detector, folds before the rest.

    Folds are trained of every arm where `protocol.select` is validation; else of the arm `base`
    alone, and only where two detectors are to be compared and parts can be held out.

    Only what decides an outcome is in a fingerprint: changing the number of bootstrap resamples,
    or adding an arm or a seed, repeats no training.

    Raises:
        InputError: As `detectors`.
    """
    rows = plan[plan["task"] == task]
    categories = rows.groupby(["corpus", "category"]).ngroups
    steps = options.training.steps_among(categories)
    training = options.training.model_copy(update={"steps": steps})
    options = options.model_copy(update={"training": training})
    how = protocol.model_dump(include={"shares", "augment", "select", "validation_share", "legacy"})
    several = detectors(options, protocol)
    jobs = []
    for (corpus, category), of_category in rows.groupby(["corpus", "category"], sort=False):
        tables = (bank.samples, bank.synthetic.manifest, bank.masks.manifest)
        material = [t[t["category"] == category] if "category" in t else t for t in tables]
        comparable = can_hold_out(bank.base(str(category)))
        arms = dict(iter(of_category.groupby("arm", sort=False)))
        for detector in several:
            own = detector.options.model_copy(update={"paper": None})
            shared = (task, detector.network, own, *_weights(detector), how, *material)
            shared = (*shared, bank.synthesis, bank.framing, code_fingerprint(*ROOMS))
            folds, whole = [], []
            for arm, of_arm in arms.items():
                if detector.arms is not None and arm not in detector.arms:
                    continue
                shown = of_arm.sort_values("row").reset_index(drop=True)
                of_seeds = fingerprint(*shared, shown, list(_external(bank, str(arm))))
                place = (str(corpus), str(category), detector, str(arm))
                compared = arm == BASE and len(several) > 1 and comparable
                if arm != NORMALS_ONLY and (protocol.select == "validation" or compared):
                    for fold in range(protocol.folds):
                        key = fingerprint(of_seeds, "fold", fold, protocol.folds, protocol.patience)
                        folds.append(Job(*place, detector.seeds[0], fold, shown, key))
                chosen = protocol.select == "validation" and (protocol.folds, protocol.patience)
                for seed in detector.seeds:
                    key = fingerprint(of_seeds, seed, seed == detector.seeds[0], chosen)
                    whole.append(Job(*place, seed, None, shown, key))
            jobs += folds + whole
    return jobs


def count_synthetic(rows: pd.DataFrame) -> int:
    """Return how many different images of the arm's own making a training set holds.

    Base images that an arm only shows again are not counted.
    """
    own = [json.loads(text) for text in set(rows[rows["kind"] == "own"]["recipe"])]
    inner = [recipe.get("recipe", recipe) for recipe in own]  # a mixture's holds its part's
    return sum(not (set(r) <= _PLAIN and r["sources"] == [r["source"]]) for r in inner)


def _weights(detector: Detector) -> tuple[object, ...]:
    """Where a training begins: "auto" may find another file next time."""
    name = "lite0" if detector.network in FROZEN else detector.network
    file = weights_file(name, detector.options.training.weights)
    return () if file is None else (file.name, file.stat().st_size)


def _external(bank: Bank, arm: str) -> Iterator[object]:
    """Yield the files of other systems' sets that the arm shows, by name, size and time."""
    for name, external in bank.external.items():
        if f"external:{name}" in arm:
            for file in [*external.pairs["image"], *external.pairs["mask"]]:
                stat = (external.root / file).stat()
                yield name, file, stat.st_size, stat.st_mtime_ns
