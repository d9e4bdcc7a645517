"""Classification of defect types (the paper's Table VIII) on whole images."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial

import numpy as np
import pandas as pd
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model

from defectsynth_pipeline.features.encoder import normalised
from defectsynth_pipeline.features.weights import LITE0, TIMM_NAME, load_imagenet
from defectsynth_pipeline.inspection import linear
from defectsynth_pipeline.inspection.batches import Shown, classification_batch
from defectsynth_pipeline.inspection.task import Fitted, Fitting, Task
from defectsynth_pipeline.inspection.test_set import TestSet
from defectsynth_pipeline.inspection.training import Batches, History
from defectsynth_pipeline.measures.classification import classification_metrics


class Classification(Task[pd.DataFrame]):
    """A logit per defect type of one category; a result is a table with a row per test image."""

    name, square, legacy = "classification", True, "accuracy"
    _looks: linear.Looks | None = None  # of the category, shared by arms and seeds

    @staticmethod
    def build(network: str, n_types: int, weights: str) -> tuple[nn.Module, str]:
        """Return a network with a new last layer."""
        if network == linear.NETWORK:
            return linear.LinearClassifier(n_types), linear.ORIGIN
        if network == LITE0:
            model = timm.create_model(TIMM_NAME, num_classes=n_types)
        else:
            model = get_model(network, weights=None)
            model.fc = nn.Linear(model.fc.in_features, n_types)
        origin = load_imagenet(model, network, weights)
        return model.to(memory_format=torch.channels_last), origin

    def fit(self, fitting: Fitting) -> Fitted:
        """As `Task.fit`; on frozen features the last layer alone is fitted, at once."""
        if self.network != linear.NETWORK:
            return super().fit(fitting)
        began, shown = time.monotonic(), fitting.shown
        if self._looks is None:
            self._looks = linear.Looks(linear.UnusualPatches.of(fitting.normals()))
        labels, counts = self._labels(fitting.rows["defect_type"]), Counter(shown.kinds)
        shares = shown.shares or dict.fromkeys(counts, 1.0)
        weights = np.array([shares[kind] / counts[kind] for kind in shown.kinds])
        model = linear.fit_linear(self._looks, shown.views, labels, weights, len(self.types))
        return Fitted(model, linear.ORIGIN, History(seconds=time.monotonic() - began))

    @staticmethod
    def encoder(model: nn.Module) -> nn.Module:
        """Return all but the last layer."""
        return nn.ModuleList(list(model.children())[:-1])

    def batches(self, shown: Shown, rows: pd.DataFrame, seed: int) -> Batches:
        """Return whole images and type numbers."""
        labels = self._labels(rows["defect_type"])
        return partial(classification_batch, shown, labels, self.training.batch_size, seed)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy."""
        return F.cross_entropy(outputs, targets)

    def evaluate(
        self, model: nn.Module, tests: TestSet, overlays: Collection[str]
    ) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """Return `results.TESTED` of the test images of the types; "good" is none; no maps."""
        shown = list(tests.images(self.types))
        if isinstance(model, linear.LinearClassifier) and self._looks is not None:
            looks = self._looks.of([test.view for test in shown])
            probabilities = model.judged(looks).softmax(1).numpy()
        else:
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
        """Return accuracy and F1; `score` is macro F1."""
        metrics = classification_metrics(
            list(result["defect_type"]), list(result["predicted"]), self.types
        )
        return metrics | {"score": metrics["macro_f1"]}

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
