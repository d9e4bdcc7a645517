"""What MLflow lists of the data of a run."""

from __future__ import annotations

import json

import pandas as pd

from defectsynth_pipeline.hooks.seen import of_samples, of_version

SAMPLES = pd.DataFrame(
    {
        "sample_id": ["b", "a"],
        "defect_type": ["good", "dent"],
        "sha256": ["1", "2"],
        "split": ["normal", "base"],
        "root": ["/parts/x", "/parts/y"],
    }
)


def test_equal_images_have_one_digest_wherever_they_lie():
    seen = of_samples(SAMPLES)
    assert of_samples(SAMPLES.iloc[::-1].assign(root="/elsewhere")).digest == seen.digest
    assert of_samples(SAMPLES.assign(split="test")).digest != seen.digest
    assert of_samples(SAMPLES.assign(sha256=["1", "3"])).digest != seen.digest
    assert seen.source == "/parts"
    assert json.loads(seen.profile) == {"images": 2, "normal": 1, "base": 1, "types": 2}


def test_sources_hold_no_secret_and_digests_fit():
    seen = of_version("masks", "2026" * 20, "s3://me:word@bucket/x", [1, 2])
    assert seen.source == "s3://***@bucket/x"
    assert len(seen.digest) == 36
    assert json.loads(seen.profile) == {"rows": 2}
    assert of_version("masks", "v1", "/x", None).profile == "{}"
