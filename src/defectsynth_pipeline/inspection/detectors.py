"""The trained detectors of an experiment, the first seed's of every arm, ready for use."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.classification import Classification
from defectsynth_pipeline.inspection.localization import Localization
from defectsynth_pipeline.inspection.results import Where
from defectsynth_pipeline.inspection.task import Task
from defectsynth_pipeline.publishing import written_whole

TASKS: dict[str, type[Task[Any]]] = {task.name: task for task in (Classification, Localization)}
WEIGHTS, META = "model.safetensors", "meta.json"
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class DetectorSet:
    """Detectors as folders with weights and a description; networks are built when asked for.

    Attributes:
        folders: By (corpus, category, network, arm), each with model.safetensors (half precision)
            and meta.json: task, corpus, category, arm, seed, types, network, side, weights, steps.
    """

    folders: Mapping[Where, Path]

    def meta(self, category: str, arm: str, network: str | None = None) -> dict[str, Any]:
        """Return the description of a detector; without `network` that of the main one.

        Raises:
            InputError: There is none of this category and arm.
        """
        file = self._folder(category, arm, network) / META
        meta: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return meta

    def model(self, category: str, arm: str, network: str | None = None) -> nn.Module:
        """Return a detector in float32, on the CPU, in evaluation mode.

        Use it with `classification.classify` on square images or `localization.score_maps`, both
        at the scale of `meta(...)["side"]`, made by `batches.make_view`.

        Raises:
            InputError: There is none of this category and arm.
        """
        meta = self.meta(category, arm, network)
        model, _ = TASKS[meta["task"]].build(meta["network"], len(meta["types"]), "none")
        state = load_file(self._folder(category, arm, network) / WEIGHTS)
        # Copying into a float32 network widens every value.
        model.load_state_dict(state)
        return model.eval().requires_grad_(False)

    def save(self, folder: Path) -> None:
        """Put everything into numbered folders: as links where they can be made, else as copies."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, source in enumerate(self.folders.values()):
            target = folder / f"{number:03d}"
            target.mkdir()
            for name in (WEIGHTS, META):
                try:
                    os.link(source / name, target / name)
                except OSError:  # another disk, or one without links
                    shutil.copyfile(source / name, target / name)

    @classmethod
    def load(cls, folder: Path) -> DetectorSet:
        """Open what `save` wrote."""
        folders: dict[Where, Path] = {}
        for file in sorted(folder.glob(f"*/{META}")):
            meta = json.loads(file.read_text(encoding="utf-8"))
            where = (meta["corpus"], meta["category"], meta["network"], meta["arm"])
            folders[where] = file.parent
        return cls(folders)

    def _folder(self, category: str, arm: str, network: str | None) -> Path:
        for (_, of_category, of_network, of_arm), folder in self.folders.items():
            if (of_category, of_arm) == (category, arm) and network in (None, of_network):
                return folder
        raise InputError(
            "there is no detector of this category and arm",
            value=", ".join(part for part in (category, arm, network) if part),
            remedy="choose among " + ", ".join(f"{c}/{n}/{a}" for _, c, n, a in self.folders),
        )


def write_detector(
    model: nn.Module, task: Task[Any], meta: Mapping[str, Any], folder: Path
) -> None:
    """Write a detector's weights, in half precision, how to build it, and where it comes from.

    Batch statistics keep float32: a variance may leave the range of half precision.

    Args:
        model: The detector.
        task: What built it.
        meta: Its row of `results.META_COLUMNS`.
        folder: Is made.

    Raises:
        InputError: The disk is full or read only.
    """
    half = {
        name: (value if name.endswith(_STATISTICS) else value.to(torch.float16)).contiguous()
        for name, value in model.state_dict().items()
    }
    note = {"task": task.name} | {name: meta[name] for name in ("corpus", "category", "arm")}
    note |= {"types": list(task.types), "network": task.network, "side": task.side}
    note |= {name: meta[name] for name in ("seed", "weights", "steps", "checkpoint_step")}
    note |= {"options": task.training.model_dump()}
    with written_whole(folder) as aside:
        aside.mkdir()
        save_file(half, aside / WEIGHTS)
        (aside / META).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
