"""Trainings that are done, kept in a work folder so that a killed experiment goes on after them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd

from defectsynth_pipeline.imaging.codec import decode_image, encode_png
from defectsynth_pipeline.inspection.task import Task

Result = TypeVar("Result")
_OURS = re.compile(r"(?:\.partial-)?([0-9a-f]{16})(?:\.pt|\.partial|\.detector)?")
DETECTOR = "detector"


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """One training, evaluated.

    Attributes:
        meta: A row of `results.META_COLUMNS` per selection, the reported one first.
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


def write_finished(done: Finished[Result], task: Task[Result], folder: Path, key: str) -> None:
    """Write an entry whole; `done.detector`, if given, is moved into it."""
    partial = folder / f".partial-{key}"
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "overlays").mkdir(parents=True)
    for number, result in enumerate(done.results):
        task.write(result, partial / f"result{number}")
    done.history.to_csv(partial / "history.csv", index=False)
    for number, probabilities in enumerate(done.overlays.values()):
        (partial / "overlays" / f"{number}.png").write_bytes(encode_png(probabilities))
    if done.detector is not None:
        done.detector.replace(partial / DETECTOR)
    note = {"meta": done.meta, "overlays": list(done.overlays)}
    (partial / "entry.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / key)
    (folder / f"{key}.pt").unlink(missing_ok=True)


def read_finished(task: Task[Result], folder: Path, key: str) -> Finished[Result]:
    """Read what `write_finished` wrote."""
    entry = folder / key
    note = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
    overlays = {}
    for number, sample_id in enumerate(note["overlays"]):
        file = entry / "overlays" / f"{number}.png"
        overlays[sample_id] = decode_image(file.read_bytes(), file)
    return Finished(
        note["meta"],
        [task.read(entry / f"result{number}") for number in range(len(note["meta"]))],
        pd.read_csv(entry / "history.csv", float_precision="round_trip"),
        overlays,
        entry / DETECTOR if (entry / DETECTOR).is_dir() else None,
    )


def is_finished(folder: Path, key: str) -> bool:
    """Return whether the training of this fingerprint is done."""
    return (folder / key / "entry.json").is_file()


def remove_others(folder: Path, keys: Collection[str]) -> None:
    """Remove what other experiments left in the work folder; foreign files are not touched."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        ours = _OURS.fullmatch(path.name)
        if ours is None or ours.group(1) in keys:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
