"""What the two detectors share as far as an experiment is concerned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pandas as pd
from torch import Tensor, nn

from defectsynth_pipeline.inspection.batches import View
from defectsynth_pipeline.inspection.history import Batches
from defectsynth_pipeline.inspection.test_set import TestSet
from defectsynth_pipeline.options import ClassificationOptions, LocalizationOptions

Result = TypeVar("Result")


@dataclass(frozen=True)
class Evaluation(Generic[Result]):
    """What a detector said about the test set.

    Attributes:
        result: All that metrics need.
        overlays: Probability maps, uint8 (H, W), of some images by sample_id.
    """

    result: Result
    overlays: dict[str, np.ndarray] = field(default_factory=dict)


class Task(ABC, Generic[Result]):
    """A kind of detector for one category.

    Attributes:
        name: "classification" or "localization".
        square: Whether images are brought to a square.
        types: Defect types of the category.
    """

    name: ClassVar[str]
    square: ClassVar[bool]

    def __init__(
        self, options: ClassificationOptions | LocalizationOptions, types: Sequence[str]
    ) -> None:
        self.side, self.training, self.types = options.side, options.training, tuple(types)

    @abstractmethod
    def build(self) -> tuple[nn.Module, str]:
        """Return a fresh detector and where its weights come from."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return what `detectors.build` needs to build it again, JSON values."""

    @abstractmethod
    def tested(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return those of a category's test rows that this detector is tested on."""

    @abstractmethod
    def batches(self, views: Sequence[View], rows: pd.DataFrame, seed: int) -> Batches:
        """Return the batches of a training set, a function of the step."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the training loss, a scalar."""

    @abstractmethod
    def validation_loss(
        self, model: nn.Module, views: Sequence[View], types: Sequence[str]
    ) -> float:
        """Return the mean loss over whole held-out images of the given defect types."""

    @abstractmethod
    def evaluate(
        self, model: nn.Module, tests: TestSet, overlays: Collection[int]
    ) -> Evaluation[Result]:
        """Let the detector judge every test image; keep maps of those with the given indices."""

    @abstractmethod
    def legacy_score(self, result: Result) -> float:
        """Return what published systems would pick a checkpoint by on the test set; 1 is best."""

    @abstractmethod
    def metrics(self, result: Result) -> Mapping[str, float]:
        """Return the metrics of a result by name."""

    @abstractmethod
    def write(self, result: Result, stem: Path) -> None:
        """Write a result beside others as `stem` plus a suffix."""

    @abstractmethod
    def read(self, stem: Path) -> Result:
        """Read what `write` wrote."""
