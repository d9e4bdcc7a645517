"""What the detectors cost: seconds per optimizer step and per tested image, defaults of the base.

bfloat16 (where the CPU has it) and float32 are measured in turns, so that a busy machine slows
both alike; medians are printed as JSON, with the minutes of an experiment they amount to.

    python benchmarks/detectors.py [--repeats 12] [--threads 2] [--trainings 32] [--tests 40]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from defectsynth_pipeline.inspection.batches import View
from defectsynth_pipeline.inspection.classification import Classification
from defectsynth_pipeline.inspection.localization import Localization, score_map
from defectsynth_pipeline.inspection.training import Task, train
from defectsynth_pipeline.options import ClassificationOptions, LocalizationOptions

FLOAT32 = "defectsynth_pipeline.inspection.training._has_bfloat16"
TYPES = ("dent", "pinhole", "scratch")


def make_views(side: int, count: int = 32) -> list[View]:
    """Noise with a defect in the middle."""
    rng = np.random.default_rng(0)
    cover = np.zeros((side, side), np.uint8)
    cover[side // 2 - 8 : side // 2 + 8, side // 2 - 8 : side // 2 + 8] = 255
    return [View(rng.integers(0, 256, (side, side, 3), np.uint8), cover) for _ in range(count)]


def stepper(task: Task, views: list[View], steps: int = 4) -> Callable[[], float]:
    """A call that trains a few steps and returns the seconds of one."""
    model, _ = task.build(task.network, len(TYPES), task.training.weights)
    rows = pd.DataFrame({"defect_type": [TYPES[i % len(TYPES)] for i in range(len(views))]})
    batches = task.batches(views, rows, 0)

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            train(
                model, batches, task.loss, task.training, steps, Path(folder) / "key.pt",
                lambda step, values: None,
            )  # fmt: skip
            return (time.perf_counter() - begin) / steps

    return run


def tester(task: Localization, view: View) -> Callable[[], float]:
    """A call that returns the seconds of one score map."""
    model, _ = task.build(task.network, len(TYPES), task.training.weights)

    def run() -> float:
        begin = time.perf_counter()
        score_map(model, view.image, view.cover.shape)
        return time.perf_counter() - begin

    return run


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("repeats", 12), ("threads", 0), ("trainings", 32), ("tests", 40)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    localization = Localization(LocalizationOptions(), TYPES)
    classification = Classification(ClassificationOptions(), TYPES)
    calls = {
        "localization step": stepper(localization, make_views(localization.side)),
        "localization test image": tester(localization, make_views(localization.side, 1)[0]),
        "classification step": stepper(classification, make_views(classification.side)),
    }
    times: dict[str, list[float]] = {f"{n}, {a}": [] for n in calls for a in ("auto", "float32")}
    for _ in range(arguments.repeats + 1):
        for name, call in calls.items():
            for how in ("auto", "float32"):
                plain = patch(FLOAT32, lambda device: False) if how == "float32" else nullcontext()
                with plain:
                    times[f"{name}, {how}"].append(call())
    # The first round warms up.
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    each = localization.training.steps * medians["localization step, auto"]
    each += arguments.tests * medians["localization test image, auto"]
    report = {name: round(value, 4) for name, value in medians.items()}
    report["minutes of localization"] = round(arguments.trainings * each / 60, 1)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
