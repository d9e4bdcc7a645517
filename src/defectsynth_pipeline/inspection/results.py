"""What an experiment measured, before any statistics: predictions, score histograms, overlays.

`Finished` is one training in the work folder, so that a killed experiment goes on after it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from defectsynth_pipeline.imaging.codec import decode_image, encode_png
from defectsynth_pipeline.measures.detection import LocalizationStats

Result = TypeVar("Result", pd.DataFrame, LocalizationStats)
Key: TypeAlias = tuple[str, str, str, str, int]  # corpus, category, detector, arm, seed
Where: TypeAlias = tuple[str, str, str, str]  # corpus, category, detector, arm
LEGACY = "legacy_best_test"
WHERE = ("corpus", "category", "detector", "arm", "seed")
MAIN, PAPER = "main", "paper"  # roles of a detector: the one of the options, the paper's
_COUNTS = ("steps", "set_size", "n_synthetic", "n_base", "n_types")
_HOW = ("weights", "seconds", "selected", "checkpoint_step", "role", "held_out")
META_COLUMNS = (*WHERE, *_COUNTS, *_HOW)
TESTED = ("sample_id", "group", "defect_type", "predicted", "probabilities")
PREDICTION_COLUMNS = (*WHERE, "selected", *TESTED)
_TEXT = {*WHERE, "weights", "selected", "role", *TESTED} - {"seed"}
_ENTRY = re.compile(r"(?:\.partial-)?([0-9a-f]{16})(?:\.pt|\.partial|\.detector)?")


@dataclass(frozen=True)
class ClassificationResults:
    """What the classifiers predicted.

    Attributes:
        meta: A row per training and selection, `META_COLUMNS`: `role` is `MAIN` or `PAPER`;
            `held_out` is macro F1 of the detector's `base` arm on held-out base images, mean over
            folds, NaN where it was not measured; equal in all rows of a category and detector.
        predictions: A row per training, selection and test image: corpus, category, detector,
            arm, seed, selected, sample_id, group, defect_type, predicted, probabilities (JSON by
            type).
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
    """What the localizers predicted.

    Attributes:
        meta: As in `ClassificationResults`; `held_out` is the mean pixel AP over types.
        stats: By (corpus, category, detector, arm, seed).
        legacy: The same of the best test checkpoints: inflated, as published systems report.
        overlays: Probability maps of the first seed, uint8 (H, W) at native size, 255 for
            certain, by (corpus, category, detector, arm) and sample_id; the same images in every
            arm.
    """

    meta: pd.DataFrame
    stats: dict[Key, LocalizationStats]
    legacy: dict[Key, LocalizationStats] = field(default_factory=dict)
    overlays: dict[Where, dict[str, np.ndarray]] = field(default_factory=dict)

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
        tables: dict[str, dict[Key, LocalizationStats]] = {"stats": {}, "legacy": {}}
        for name, of_name in tables.items():
            for number, (corpus, category, detector, arm, seed) in enumerate(index[name]):
                stats = LocalizationStats.load(folder / name / f"{number:04d}.npz")
                of_name[corpus, category, detector, arm, seed] = stats
        overlays: dict[Where, dict[str, np.ndarray]] = {}
        for number, (*where, sample_id) in enumerate(index["overlays"]):
            file = folder / "overlays" / f"{number:04d}.png"
            corpus, category, detector, arm = where
            maps = overlays.setdefault((corpus, category, detector, arm), {})
            maps[sample_id] = decode_image(file.read_bytes(), file)
        meta = read_table(folder / "meta.csv")
        return cls(meta, tables["stats"], tables["legacy"], overlays)


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """One training, evaluated.

    Attributes:
        meta: A row of `META_COLUMNS` per selection, the reported one first.
        results: In the order of `meta`.
        history: step, loss and what judged it.
        overlays: Probability maps by sample_id; empty but for the first seed's localizers.
        detector: Folder of the weights, for the first seed.
    """

    meta: list[dict[str, Any]]
    results: list[Result]
    history: pd.DataFrame
    overlays: dict[str, np.ndarray] = field(default_factory=dict)
    detector: Path | None = None


def write_finished(done: Finished[Result], folder: Path, key: str) -> None:
    """Write the entry of a fingerprint whole; `done.detector`, if given, is moved into it."""
    partial = folder / f".partial-{key}"
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "overlays").mkdir(parents=True)
    for number, result in enumerate(done.results):
        if isinstance(result, pd.DataFrame):
            result.to_csv(partial / f"result{number}.csv", index=False)
        else:
            result.save(partial / f"result{number}.npz")
    done.history.to_csv(partial / "history.csv", index=False)
    for number, probabilities in enumerate(done.overlays.values()):
        (partial / "overlays" / f"{number}.png").write_bytes(encode_png(probabilities))
    if done.detector is not None:
        done.detector.replace(partial / "detector")
    note = {"meta": done.meta, "overlays": list(done.overlays)}
    (partial / "entry.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / key)
    (folder / f"{key}.pt").unlink(missing_ok=True)


def read_finished(folder: Path, key: str) -> Finished[Any]:
    """Read what `write_finished` wrote."""
    entry = folder / key
    note = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
    read = {".csv": read_table, ".npz": LocalizationStats.load}
    overlays = {}
    for number, sample_id in enumerate(note["overlays"]):
        file = entry / "overlays" / f"{number}.png"
        overlays[sample_id] = decode_image(file.read_bytes(), file)
    return Finished(
        note["meta"],
        [read[file.suffix](file) for file in sorted(entry.glob("result*"))],
        pd.read_csv(entry / "history.csv", float_precision="round_trip"),
        overlays,
        entry / "detector" if (entry / "detector").is_dir() else None,
    )


def is_finished(folder: Path, key: str) -> bool:
    """Return whether the training of this fingerprint is done."""
    return (folder / key / "entry.json").is_file()


def remove_others(folder: Path, keys: Collection[str]) -> None:
    """Remove what other experiments left in the work folder; foreign files are not touched."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        ours = _ENTRY.fullmatch(path.name)
        if ours is None or ours.group(1) in keys:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def read_table(file: Path) -> pd.DataFrame:
    """Read a CSV of results: names stay text, a category "007" included; empty is empty.

    Only `held_out` may be missing, as NaN.
    """
    columns = pd.read_csv(file, nrows=0).columns
    types = {name: str for name in _TEXT if name in columns}
    return pd.read_csv(
        file,
        dtype=types,
        keep_default_na=False,
        na_values={"held_out": [""]},
        float_precision="round_trip",
    )
