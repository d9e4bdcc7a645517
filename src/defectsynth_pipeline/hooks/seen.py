"""The data of a run as MLflow lists it: name, digest, where it lies, what is in it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import pandas as pd

from defectsynth_pipeline.fingerprints import fingerprint
from defectsynth_pipeline.hooks.redact import redact

_CONTENT = ["sample_id", "defect_type", "sha256", "split"]
_DIGEST_LIMIT = 36


@dataclass(frozen=True)
class Seen:
    """One line of MLflow's list of data.

    Attributes:
        name: The entry.
        digest: Of what decides its content, or its version.
        source: Folder or file, without secrets.
        profile: What is in it, as JSON.
    """

    name: str
    digest: str
    source: str
    profile: str = "{}"


def of_samples(samples: pd.DataFrame) -> Seen:
    """The real images: equal digests, equal images, types and split, wherever they lie."""
    told = samples[_CONTENT].sort_values("sample_id").reset_index(drop=True)
    counts = samples["split"].value_counts().to_dict()
    profile = {"images": len(samples), **counts, "types": samples["defect_type"].nunique()}
    folder = os.path.commonpath(list(samples["root"].unique()))
    return Seen("samples", fingerprint(told)[:_DIGEST_LIMIT], redact(folder), json.dumps(profile))


def of_version(name: str, version: str, source: str, data: Any) -> Seen:
    """Any other entry that was read, by its version."""
    profile = {"rows": len(data)} if hasattr(data, "__len__") else {}
    return Seen(name, version[:_DIGEST_LIMIT], redact(source), json.dumps(profile))
