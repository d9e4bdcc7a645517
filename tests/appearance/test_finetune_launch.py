"""Fine-tuning by two processes trains the network that one trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from defectsynth_pipeline.appearance import finetune_launch
from defectsynth_pipeline.appearance.crops import Crops
from defectsynth_pipeline.appearance.finetune import finetune
from defectsynth_pipeline.appearance.finetune_launch import finetune_over
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.options import ExecutionOptions
from defectsynth_pipeline.resumable import load_checkpoint
from small_models import TRAINING, changed

OPTIONS = changed(TRAINING, steps=4, batch_size=6, validate_every=2)


def test_two_processes_train_what_one_does(small: BaseModel, crops: Crops, tmp_path: Path) -> None:
    metrics: list[tuple[int, dict[str, float]]] = []
    how: dict[str, Any] = {"key": "k", "on_metrics": lambda *_: None}
    alone, history = finetune(small, crops, OPTIONS, checkpoints=tmp_path / "one", **how)
    (two := tmp_path / "two").mkdir()
    how["on_metrics"] = lambda step, values: metrics.append((step, dict(values)))
    execution = ExecutionOptions(engine="torchrun", workers=2)
    model, again = finetune_over(execution, small, crops, OPTIONS, checkpoints=two, **how)
    np.testing.assert_allclose(again, history, rtol=1e-3)
    before = small.controlnet.state_dict()
    for name, value in alone.controlnet.state_dict().items():
        torch.testing.assert_close(model.controlnet.state_dict()[name], value, rtol=1e-2, atol=1e-4)
    assert any(
        (value - before[name]).abs().max() > 1e-3
        for name, value in model.controlnet.state_dict().items()
    )
    assert [step for step, _ in metrics] == [2, 4]
    assert metrics[1][1]["finetune.validation_loss"] == again["validation_loss"].iloc[1]
    assert [path.name for path in two.iterdir()] == ["k.pt"]


def test_what_is_trained_is_not_trained_again(
    small: BaseModel, crops: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes leave a checkpoint of the last step; this one only takes it up."""
    how: dict[str, Any] = {"key": "k", "checkpoints": tmp_path, "on_metrics": lambda *_: None}
    finetune(small, crops, OPTIONS, **how)
    state = load_checkpoint(tmp_path / "k.pt")
    monkeypatch.setattr(finetune_launch, "launch", lambda *_: [])
    execution = ExecutionOptions(engine="torchrun", workers=2)
    model, _ = finetune_over(execution, small, crops, OPTIONS, **how)
    assert state is not None
    assert model.meta["steps"] == state["step"] == 4
