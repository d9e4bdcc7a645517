"""Small random models of the real component classes, and small corpora with generated masks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from defectsynth_pipeline.appearance.crops import Crops, make_crops
from defectsynth_pipeline.base_model.loading import BaseModel, load_base_model
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import IngestOptions, PromptOptions

from .builders import (
    FRAMING,
    TRAINING,
    make_masks,
    write_parts,
    write_small_compact,
    write_stable_diffusion,
)


@pytest.fixture(scope="session")
def sd15_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder like the hub's SD 1.5: epsilon, PNDM, f=8, no ControlNet."""
    return write_stable_diffusion(tmp_path_factory.mktemp("models") / "sd15")


@pytest.fixture(scope="session")
def sd15(sd15_folder: Path) -> BaseModel:
    return load_base_model(sd15_folder, device="cpu")


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder like the compact base: v-prediction, f=4, ControlNet with weights."""
    return write_small_compact(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def small(small_folder: Path) -> BaseModel:
    return load_base_model(small_folder, device="cpu")


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two MVTec categories of 64 x 80: RGB `plate` and 16-bit grey `x ray`."""
    root = tmp_path_factory.mktemp("parts")
    write_parts(root)
    write_parts(root, "x ray", grey16=True)
    return root


@pytest.fixture(scope="session")
def all_samples(parts: Path) -> pd.DataFrame:
    return make_samples(parts, IngestOptions(base_share=0.5))


@pytest.fixture(scope="session")
def samples(all_samples: pd.DataFrame) -> pd.DataFrame:
    """Three base and three test images of each of two types, five normals."""
    return all_samples[all_samples["category"] == "plate"].reset_index(drop=True)


@pytest.fixture(scope="session")
def masks(tmp_path_factory: pytest.TempPathFactory, all_samples: pd.DataFrame) -> ImageSet:
    """Four generated masks per category and type."""
    return make_masks(tmp_path_factory.mktemp("masks"), all_samples)


@pytest.fixture(scope="session")
def crops(samples: pd.DataFrame, small: BaseModel) -> Crops:
    return make_crops(samples, small, TRAINING, FRAMING, PromptOptions())
