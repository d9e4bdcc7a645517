"""Fixtures for all tests: quiet Kedro logging, a copied MLflow store, small pictures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["DO_NOT_TRACK"] = "1"
os.environ["KEDRO_DISABLE_TELEMETRY"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["KEDRO_LOGGING_CONFIG"] = str(Path(__file__).parent / "logging.yml")
os.environ.pop("MLFLOW_TRACKING_URI", None)

pytest_plugins = ["small_models"]
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory) -> Path:
    """A migrated, empty MLflow database; migrating takes seconds, copying does not."""
    from defectsynth_pipeline.hooks.store import open_store

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    open_store(f"sqlite:///{path}")
    return path


@pytest.fixture
def project(tmp_path, mlflow_template) -> Path:
    """An empty project folder whose MLflow store is ready."""
    from sessions import make_project

    return make_project(tmp_path / "project", mlflow_template)


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """The demo corpora, written once."""
    from defectsynth_pipeline.demo.writer import write_demo

    return write_demo(tmp_path_factory.mktemp("raw") / "demo", seed=0)
