"""Localization of defects as a task of an experiment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from defectsynth_pipeline.inspection.batches import STRIDE, View, localization_batch
from defectsynth_pipeline.inspection.history import Batches
from defectsynth_pipeline.inspection.localizer import (
    build_localizer,
    score_map,
    segmentation_loss,
)
from defectsynth_pipeline.inspection.task import Evaluation, Task
from defectsynth_pipeline.inspection.test_set import TestSet
from defectsynth_pipeline.measures.detection import LocalizationStats
from defectsynth_pipeline.options import LocalizationOptions


class Localization(Task[LocalizationStats]):
    """U-Net trained on windows and tested on whole images at their native size."""

    name = "localization"
    square = False

    def __init__(self, options: LocalizationOptions, types: Sequence[str]) -> None:
        super().__init__(options, types)
        self.patch, self.encoder = options.patch, options.encoder

    def build(self) -> tuple[nn.Module, str]:
        """Return a U-Net."""
        return build_localizer(self.encoder, self.training.weights)

    def settings(self) -> dict[str, Any]:
        """Return types, encoder and side."""
        return {"types": list(self.types), "network": self.encoder, "side": self.side}

    def tested(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return all of them, good images included."""
        return rows

    def batches(self, views: Sequence[View], rows: pd.DataFrame, seed: int) -> Batches:
        """Return windows and their cover; without `patch`, windows that hold every image."""
        size = self.training.batch_size
        window = (self.patch, self.patch) if self.patch else _whole(views)
        return partial(localization_batch, views, window, size, seed)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return cross-entropy plus Dice."""
        return segmentation_loss(outputs, targets)

    def validation_loss(
        self, model: nn.Module, views: Sequence[View], types: Sequence[str]
    ) -> float:
        """Return the mean of cross-entropy plus Dice over whole images."""
        losses = []
        for view in views:
            logits = torch.from_numpy(score_map(model, view.image, view.cover.shape))
            cover = torch.from_numpy(view.cover / np.float32(255))
            losses.append(segmentation_loss(logits[None, None], cover[None, None]).item())
        return float(np.mean(losses))

    def evaluate(
        self, model: nn.Module, tests: TestSet, overlays: Collection[int]
    ) -> Evaluation[LocalizationStats]:
        """Stream all score maps, at native size, into the statistics."""
        stats, maps = LocalizationStats(), {}
        for index, test in enumerate(tests):
            logits = score_map(model, test.image, test.mask.shape)
            stats.update(test.sample_id, test.group, test.defect_type, logits, test.mask)
            if index in overlays:
                maps[test.sample_id] = _probabilities(logits)
        return Evaluation(stats, maps)

    def legacy_score(self, result: LocalizationStats) -> float:
        """Return the average precision over pixels."""
        return result.metrics()["pixel_ap"]

    def metrics(self, result: LocalizationStats) -> dict[str, float]:
        """Return the metrics over all types."""
        return result.metrics()

    def write(self, result: LocalizationStats, stem: Path) -> None:
        """Write `<stem>.npz`."""
        result.save(stem.with_suffix(".npz"))

    def read(self, stem: Path) -> LocalizationStats:
        """Read `<stem>.npz`."""
        return LocalizationStats.load(stem.with_suffix(".npz"))


def _whole(views: Sequence[View]) -> tuple[int, int]:
    height, width = np.max([view.cover.shape for view in views], axis=0)
    return int(-(-height // STRIDE) * STRIDE), int(-(-width // STRIDE) * STRIDE)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    """Return probabilities as uint8, 255 for 1."""
    values: np.ndarray = np.rint(255 / (1 + np.exp(-logits.clip(-30, 30)))).astype(np.uint8)
    return values
