"""One bank for all tests of the trainings."""

from __future__ import annotations

import pytest

from defectsynth_pipeline.arms.bank import Bank

from .parts import make_bank


@pytest.fixture(scope="package")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return make_bank(tmp_path_factory.mktemp("bank"))
