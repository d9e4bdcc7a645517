"""Fine-tuning by two processes trains the network that one trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from defectsynth_pipeline.appearance.crops import Crops
from defectsynth_pipeline.appearance.finetune import finetune
from defectsynth_pipeline.appearance.finetune_launch import train_over
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.options import ExecutionOptions
from defectsynth_pipeline.resumable import load_checkpoint
from small_models import TRAINING, changed

OPTIONS = changed(TRAINING, steps=4, batch_size=6, validate_every=2)


def test_two_processes_train_what_one_does(small: BaseModel, crops: Crops, tmp_path: Path) -> None:
    metrics: list[tuple[int, dict[str, float]]] = []
    how: dict[str, Any] = {"key": "k", "on_metrics": lambda *_: None}
    alone, history = finetune(small, crops, OPTIONS, checkpoints=tmp_path / "one", **how)
    two = tmp_path / "two"
    how["on_metrics"] = lambda step, values: metrics.append((step, dict(values)))
    execution = ExecutionOptions(engine="torchrun", workers=2)
    train_over(execution, small, crops, OPTIONS, "k", two)
    state = load_checkpoint(two / "k.pt")
    assert state is not None
    assert state["step"] == 4
    model, again = finetune(small, crops, OPTIONS, checkpoints=two, **how)
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


@pytest.mark.parametrize("execution", [{"engine": "local", "workers": 2}, {"workers": 1}])
def test_only_torchs_launcher_trains_by_several(
    small: BaseModel, crops: Crops, tmp_path: Path, execution: dict[str, Any]
) -> None:
    train_over(ExecutionOptions(**execution), small, crops, OPTIONS, "k", tmp_path)
    assert not list(tmp_path.iterdir())
