"""The bank reads base and normal samples, and nothing of the test split."""

from __future__ import annotations

from dataclasses import replace

import pytest

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.errors import InputError


def test_a_test_sample_is_not_read(bank: Bank) -> None:
    rows = bank.samples[bank.samples["split"] == "test"]
    for sample_id in rows["sample_id"]:
        with pytest.raises(InputError, match="a test image reached a training set"):
            bank.example(sample_id)


@pytest.mark.parametrize("split", ["base", "normal"])
def test_a_sample_with_the_content_of_a_test_sample_is_not_read(bank: Bank, split: str) -> None:
    samples = bank.samples.set_index("sample_id")
    twin, other = samples.index[samples["split"] == split][:2]
    samples.loc[twin, "sha256"] = samples.loc[samples["split"] == "test", "sha256"].iloc[-1]
    leaky = replace(bank, samples=samples.reset_index())
    assert bank.example(twin).image.any()
    with pytest.raises(InputError, match="a test image reached a training set"):
        leaky.example(twin)
    assert (leaky.example(other).image == bank.example(other).image).all()


def test_a_sample_that_is_no_longer_there(bank: Bank) -> None:
    with pytest.raises(InputError, match=r"no longer there(.|\n)*plate/dent/gone"):
        bank.example("raw/plate/dent/gone")
