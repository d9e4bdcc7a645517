"""What a set was made from: real images and how often, licences, models."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from defectsynth_pipeline.corpora.licences import UNKNOWN
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.provenance import other_references
from defectsynth_pipeline.report.findings import is_restricted


class Photograph(NamedTuple):
    """A real image that is in the set."""

    name: str
    file: str
    backgrounds: int
    references: int


class Source(NamedTuple):
    """The real images of one category and licence.

    Attributes:
        split: Their number by what they were used for, such as "base 5, normal 36".
        photographs: Those that are in the published images, and in how many of them.
    """

    category: str
    corpus: str
    folder: str
    licence: str
    restricted: bool
    split: str
    photographs: list[Photograph]


def sources(samples: pd.DataFrame, images: ImageSet) -> list[Source]:
    """Every source of a set, as its manifest names them."""
    manifest = images.manifest.to_dict("records")
    backgrounds = Counter(row["background"] for row in manifest)
    references = Counter(
        name for row in manifest for name in {row["reference"], *other_references(row)} if name
    )
    found = []
    for key, rows in samples.groupby(["category", "corpus", "root", "licence"], sort=True):
        category, corpus, root, licence = map(str, key)
        used = [
            Photograph(
                row["sample_id"],
                row["image"],
                backgrounds[row["sample_id"]],
                references[row["sample_id"]],
            )
            for row in rows.to_dict("records")
            if backgrounds[row["sample_id"]] or references[row["sample_id"]]
        ]
        counts = rows["split"].value_counts().sort_index()
        split = ", ".join(f"{name} {count}" for name, count in counts.items())
        known = licence or UNKNOWN
        found.append(
            Source(category, corpus, Path(root).name, known, is_restricted(known), split, used)
        )
    return found


def licences_of(images: ImageSet) -> list[tuple[str, int, bool]]:
    """Licences, how many published images have them, and whether they forbid commercial use."""
    counts = images.manifest["licence"].value_counts()
    return [(str(name), int(n), is_restricted(str(name))) for name, n in counts.items()]


def models_of(images: ImageSet) -> list[tuple[str, str]]:
    """What the images were made with, as name and value."""
    manifest = images.manifest
    told = {
        "fingerprint of the set": "of_set",
        "fingerprint of the base model": "model",
        "fingerprint of the code": "code",
        "device and libraries": "made_with",
    }
    return [
        (name, "; ".join(sorted(map(str, manifest[column].unique()))))
        for name, column in told.items()
        if column in manifest
    ]
