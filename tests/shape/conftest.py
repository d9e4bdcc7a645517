"""Small base masks written to disk, and a base model with a smooth denoiser."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from categories import sample_row
from defectsynth_pipeline.base_model.loading import BaseModel

WriteSamples = Callable[..., pd.DataFrame]


@pytest.fixture
def write_samples(tmp_path: Path) -> WriteSamples:
    """Write {defect type: masks} as PNG files and return the rows of `samples`."""

    def write(masks: dict[str, list[np.ndarray]], split: str = "base") -> pd.DataFrame:
        rows = []
        for defect_type, found in masks.items():
            for index, mask in enumerate(found):
                path = tmp_path / f"{split}_{defect_type}_{index:03d}.png"
                ident = f"tests/part/{defect_type}/{split}{index:03d}"
                row = sample_row(path, mask, sample_id=ident, mask=path.name, split=split)
                rows.append(row | {"category": "part", "defect_type": defect_type})
        return pd.DataFrame(rows)

    return write


@pytest.fixture(params=["sd15", "small"])
def smooth_model(request: pytest.FixtureRequest) -> BaseModel:
    """One of epsilon and one of v-prediction, the denoiser smooth as a trained one is."""
    base: BaseModel = request.getfixturevalue(request.param)
    unet = copy.deepcopy(base.unet)
    with torch.no_grad():
        unet.conv_out.weight *= 0.04
    return replace(base, unet=unet)
