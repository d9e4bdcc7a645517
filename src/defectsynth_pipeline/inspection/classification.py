"""Classification of defect types (the paper's Table VIII): ResNet-34 on whole images."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model

from defectsynth_pipeline.features.encoder import normalised
from defectsynth_pipeline.features.weights import load_imagenet
from defectsynth_pipeline.inspection.batches import View, classification_batch
from defectsynth_pipeline.inspection.test_set import TestSet
from defectsynth_pipeline.inspection.training import Batches, Task
from defectsynth_pipeline.measures.classification import classification_metrics


class Classification(Task[pd.DataFrame]):
    """A logit per defect type of one category; a result is a table with a row per test image."""

    name, square, legacy, network = "classification", True, "accuracy", "resnet34"

    @staticmethod
    def build(network: str, n_types: int, weights: str) -> tuple[nn.Module, str]:
        """Return torchvision's ResNet with a new last layer."""
        model = get_model(network, weights=None)
        origin = load_imagenet(model, network, weights)
        model.fc = nn.Linear(model.fc.in_features, n_types)
        return model.to(memory_format=torch.channels_last), origin

    def batches(self, views: Sequence[View], rows: pd.DataFrame, seed: int) -> Batches:
        """Return whole images and type numbers."""
        labels = self._labels(rows["defect_type"])
        return partial(classification_batch, views, labels, self.training.batch_size, seed)

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
        self, model: nn.Module, tests: TestSet, overlays: Collection[str]
    ) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """Return `results.TESTED` of the test images of the types; "good" is none; no maps."""
        shown = list(tests.images(self.types))
        probabilities = classify(model, [test.image for test in shown])
        rows = [
            {
                "sample_id": test.sample_id,
                "group": test.group,
                "defect_type": test.defect_type,
                "predicted": self.types[row.argmax()],
                "probabilities": json.dumps(
                    {t: round(float(p), 6) for t, p in zip(self.types, row, strict=True)}
                ),
            }
            for test, row in zip(shown, probabilities, strict=True)
        ]
        return pd.DataFrame(rows), {}

    def metrics(self, result: pd.DataFrame) -> dict[str, float]:
        """Return accuracy and F1."""
        return classification_metrics(
            list(result["defect_type"]), list(result["predicted"]), self.types
        )

    def _labels(self, types: Sequence[str] | pd.Series) -> np.ndarray:
        return np.array([self.types.index(name) for name in types], dtype=np.int64)


@torch.no_grad()
def classify(model: nn.Module, images: Sequence[np.ndarray], batch_size: int = 64) -> np.ndarray:
    """Return the probabilities of the types, float32 (N, n_types), each row summing to 1.

    Args:
        model: From `Classification.build`; left in evaluation mode.
        images: N of uint8 (side, side, 3), as `batches.make_view` makes them.
        batch_size: Images at a time.
    """
    model.eval()
    device = next(model.parameters()).device
    parts = [
        model(normalised(np.stack(images[i : i + batch_size])).to(device)).float().softmax(1)
        for i in range(0, len(images), batch_size)
    ]
    result: np.ndarray = torch.cat(parts).cpu().numpy()
    return result
