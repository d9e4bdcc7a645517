"""What a kind of detector brings along: how it is built, fed, judged and measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from defectsynth_pipeline.features.weights import FROM_SCRATCH
from defectsynth_pipeline.inspection.batches import Shown, View
from defectsynth_pipeline.inspection.results import Result
from defectsynth_pipeline.inspection.test_set import TestSet
from defectsynth_pipeline.inspection.training import Batches, History, Judge, train
from defectsynth_pipeline.options import ClassificationOptions, LocalizationOptions
from defectsynth_pipeline.resumable import OnMetrics


class Task(ABC, Generic[Result]):
    """A kind of detector for one category.

    Attributes:
        name: "classification" or "localization".
        square: Whether images are brought to a square.
        legacy: The metric that published systems pick a checkpoint by on the test set; 1 is best.
        network: Name of the network, or of its encoder.
        types: Defect types of the category.
        side: px, scale of the images.
    """

    name: ClassVar[str]
    square: ClassVar[bool]
    legacy: ClassVar[str]

    def __init__(
        self,
        options: ClassificationOptions | LocalizationOptions,
        network: str,
        types: Sequence[str],
    ) -> None:
        self.side, self.training, self.types = options.side, options.training, tuple(types)
        self.network = network

    @staticmethod
    @abstractmethod
    def build(network: str, n_types: int, weights: str) -> tuple[nn.Module, str]:
        """Return a fresh detector on the CPU, and where its weights come from.

        Random values come from torch's global generator: seed it first.

        Args:
            network: As the attribute.
            n_types: Number of defect types.
            weights: "auto", "none" or a file; see `features.weights.weights_file`.

        Raises:
            InputError: The weights cannot be used.
        """

    def fit(self, fitting: Fitting) -> Fitted:
        """Return a detector that has learnt from a training set.

        Raises:
            InputError: The weights cannot be used, or the training diverged.
        """
        torch.manual_seed(fitting.start)
        model, origin = self.build(self.network, len(self.types), self.training.weights)
        model = model.to("cuda" if torch.cuda.is_available() else "cpu")
        history = train(
            model,
            self.batches(fitting.shown, fitting.rows, fitting.seed),
            self.loss,
            self.training,
            fitting.steps,
            fitting.checkpoint,
            fitting.on_metrics,
            fitting.judge,
            fitting.name,
            pretrained=None if origin == FROM_SCRATCH else self.encoder(model),
            judge_every=fitting.judge_every,
            patience=fitting.patience,
        )
        return Fitted(model, origin, history)

    @staticmethod
    @abstractmethod
    def encoder(model: nn.Module) -> nn.Module:
        """Return the part of a detector that ImageNet weights are for."""

    @abstractmethod
    def batches(self, shown: Shown, rows: pd.DataFrame, seed: int) -> Batches:
        """Return the batches of a training set, a function of the step."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the training loss, a scalar."""

    @abstractmethod
    def evaluate(
        self, model: nn.Module, tests: TestSet, overlays: Collection[str]
    ) -> tuple[Result, dict[str, np.ndarray]]:
        """Let the detector judge images.

        Returns:
            All that metrics need, and the probability maps, uint8 (H, W), of the sample_ids in
            `overlays`.
        """

    @abstractmethod
    def metrics(self, result: Result) -> Mapping[str, float]:
        """Return the metrics of a result by name; `score` is the one a verdict rests on."""


@dataclass(frozen=True)
class Fitting:
    """What one detector learns from, and how long.

    Attributes:
        shown: The images.
        rows: Of the plan, one per image.
        normals: Good images, which some detectors compare with, made when asked for.
        seed: Of the batches.
        start: Of the weights.
        steps: Optimizer steps at most.
        checkpoint: Where a killed training goes on from.
        on_metrics: Called with (step, values).
        judge: See `train`.
        judge_every: Likewise.
        patience: Likewise.
        name: For messages.
    """

    shown: Shown
    rows: pd.DataFrame
    normals: Callable[[], Sequence[View]]
    seed: int
    start: int
    steps: int
    checkpoint: Path
    on_metrics: OnMetrics
    judge: Judge | None = None
    judge_every: int | None = None
    patience: int | None = None
    name: str = "training"


@dataclass(frozen=True)
class Fitted:
    """A detector, where its weights come from, and how it got there."""

    model: nn.Module
    origin: str
    history: History
