"""Classification of defect types as a task of an experiment."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.inspection.batches import View, classification_batch
from defectsynth_pipeline.inspection.classifier import build_classifier, classify
from defectsynth_pipeline.inspection.history import Batches
from defectsynth_pipeline.inspection.results import read_table
from defectsynth_pipeline.inspection.task import Evaluation, Task
from defectsynth_pipeline.inspection.test_set import TestSet
from defectsynth_pipeline.measures.classification import classification_metrics


class Classification(Task[pd.DataFrame]):
    """ResNet-34 on whole images; a result is a table with a row per test image."""

    name = "classification"
    square = True

    def build(self) -> tuple[nn.Module, str]:
        """Return a ResNet-34 with a logit per type."""
        return build_classifier(len(self.types), self.training.weights)

    def settings(self) -> dict[str, Any]:
        """Return types and side."""
        return {"types": list(self.types), "network": "resnet34", "side": self.side}

    def tested(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the defective images: "good" is not among the types."""
        return rows[(rows["defect_type"] != GOOD) & rows["defect_type"].isin(self.types)]

    def batches(self, views: Sequence[View], rows: pd.DataFrame, seed: int) -> Batches:
        """Return whole images and type numbers."""
        labels = self._labels(rows["defect_type"])
        size = self.training.batch_size
        return partial(classification_batch, views, labels, size, seed)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy."""
        return F.cross_entropy(outputs, targets)

    def validation_loss(
        self, model: nn.Module, views: Sequence[View], types: Sequence[str]
    ) -> float:
        """Return the mean cross-entropy."""
        probabilities = classify(model, [view.image for view in views])
        of_truth = probabilities[np.arange(len(views)), self._labels(types)]
        return float(-np.log(of_truth.clip(1e-12)).mean())

    def evaluate(
        self, model: nn.Module, tests: TestSet, overlays: Collection[int]
    ) -> Evaluation[pd.DataFrame]:
        """Return sample_id, group, defect_type, predicted, probabilities (JSON by type)."""
        probabilities = classify(model, [test.image for test in tests])
        table = tests.rows[["sample_id", "group", "defect_type"]].copy()
        table["predicted"] = [self.types[place] for place in probabilities.argmax(1)]
        table["probabilities"] = [
            json.dumps({t: round(float(p), 6) for t, p in zip(self.types, row, strict=True)})
            for row in probabilities
        ]
        return Evaluation(table)

    def legacy_score(self, result: pd.DataFrame) -> float:
        """Return the accuracy."""
        return float((result["predicted"] == result["defect_type"]).mean())

    def metrics(self, result: pd.DataFrame) -> dict[str, float]:
        """Return accuracy and F1."""
        return classification_metrics(
            list(result["defect_type"]), list(result["predicted"]), self.types
        )

    def write(self, result: pd.DataFrame, stem: Path) -> None:
        """Write `<stem>.csv`."""
        result.to_csv(stem.with_suffix(".csv"), index=False)

    def read(self, stem: Path) -> pd.DataFrame:
        """Read `<stem>.csv`."""
        return read_table(stem.with_suffix(".csv"))

    def _labels(self, types: Sequence[str] | pd.Series) -> np.ndarray:
        places = {name: place for place, name in enumerate(self.types)}
        return np.array([places[name] for name in types], dtype=np.int64)
