"""What an experiment measured, before any statistics: predictions, score histograms, overlays."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from defectsynth_pipeline.imaging.codec import decode_image, encode_png
from defectsynth_pipeline.measures.detection import LocalizationStats

Key: TypeAlias = tuple[str, str, str, int]  # corpus, category, arm, seed
LEGACY = "legacy_best_test"
META_COLUMNS = (
    "corpus",
    "category",
    "arm",
    "seed",
    "steps",
    "set_size",
    "n_synthetic",
    "n_base",
    "n_types",
    "weights",
    "seconds",
    "selected",
    "checkpoint_step",
)
PREDICTION_COLUMNS = (
    "corpus",
    "category",
    "arm",
    "seed",
    "selected",
    "sample_id",
    "group",
    "defect_type",
    "predicted",
    "probabilities",
)
_TEXT = (
    "corpus",
    "category",
    "arm",
    "weights",
    "selected",
    "sample_id",
    "group",
    "defect_type",
    "predicted",
    "probabilities",
)


@dataclass(frozen=True)
class ClassificationResults:
    """What the classifiers said.

    Attributes:
        meta: A row per training and selection, `META_COLUMNS`.
        predictions: A row per training, selection and test image: corpus, category, arm, seed,
            selected, sample_id, group, defect_type, predicted, probabilities (JSON by type).
    """

    meta: pd.DataFrame
    predictions: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Write meta.csv and predictions.csv."""
        folder.mkdir(parents=True, exist_ok=True)
        self.meta.to_csv(folder / "meta.csv", index=False)
        self.predictions.to_csv(folder / "predictions.csv", index=False)

    @classmethod
    def load(cls, folder: Path) -> ClassificationResults:
        """Read what `save` wrote."""
        return cls(read_table(folder / "meta.csv"), read_table(folder / "predictions.csv"))


@dataclass(frozen=True)
class LocalizationResults:
    """What the localizers said.

    Attributes:
        meta: A row per training and selection, `META_COLUMNS`.
        stats: By (corpus, category, arm, seed).
        legacy: The same of the best test checkpoints: inflated, as published systems report.
        overlays: Probability maps of the first seed, uint8 (H, W) at native size, 255 for
            certain, by (corpus, category, arm) and sample_id; the same images in every arm.
    """

    meta: pd.DataFrame
    stats: dict[Key, LocalizationStats]
    legacy: dict[Key, LocalizationStats] = field(default_factory=dict)
    overlays: dict[tuple[str, str, str], dict[str, np.ndarray]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write meta.csv, index.json and a numbered file per table of statistics and map."""
        for name in ("stats", "legacy", "overlays"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.meta.to_csv(folder / "meta.csv", index=False)
        index: dict[str, list[list[str | int]]] = {"stats": [], "legacy": [], "overlays": []}
        for name, tables in (("stats", self.stats), ("legacy", self.legacy)):
            for number, (key, stats) in enumerate(tables.items()):
                stats.save(folder / name / f"{number:04d}.npz")
                index[name].append(list(key))
        maps = [(k, i, m) for k, of_key in self.overlays.items() for i, m in of_key.items()]
        for number, (where, sample_id, probabilities) in enumerate(maps):
            (folder / "overlays" / f"{number:04d}.png").write_bytes(encode_png(probabilities))
            index["overlays"].append([*where, sample_id])
        (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> LocalizationResults:
        """Read what `save` wrote."""
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        tables: dict[str, dict[Key, LocalizationStats]] = {
            name: {
                (key[0], key[1], key[2], key[3]): LocalizationStats.load(
                    folder / name / f"{number:04d}.npz"
                )
                for number, key in enumerate(index[name])
            }
            for name in ("stats", "legacy")
        }
        overlays: dict[tuple[str, str, str], dict[str, np.ndarray]] = {}
        for number, (corpus, category, arm, sample_id) in enumerate(index["overlays"]):
            file = folder / "overlays" / f"{number:04d}.png"
            maps = overlays.setdefault((corpus, category, arm), {})
            maps[sample_id] = decode_image(file.read_bytes(), file)
        meta = read_table(folder / "meta.csv")
        return cls(meta, tables["stats"], tables["legacy"], overlays)


def read_table(file: Path) -> pd.DataFrame:
    """Read a CSV of results: names stay text, a category "007" included; empty is empty."""
    columns = pd.read_csv(file, nrows=0).columns
    types = {name: str for name in _TEXT if name in columns}
    return pd.read_csv(file, dtype=types, keep_default_na=False, float_precision="round_trip")
