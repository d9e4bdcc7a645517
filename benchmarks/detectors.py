"""What the detectors cost: seconds per optimizer step and per tested image, defaults of the base.

Lite0 and the paper's ResNet-18 are measured in turns, each in bfloat16 (where the CPU has it) and
in float32, so that a busy machine slows all alike; medians are printed as JSON, with the minutes of
one training of 800 steps and of an experiment they amount to.

    python benchmarks/detectors.py [--repeats 12] [--threads 2] [--side 256] [--trainings 32]
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

from defectsynth_pipeline.inspection.augmentation import Augmentation
from defectsynth_pipeline.inspection.batches import Shown, View
from defectsynth_pipeline.inspection.localization import Localization, score_maps
from defectsynth_pipeline.inspection.training import train
from defectsynth_pipeline.options import LocalizationOptions

FLOAT32 = "defectsynth_pipeline.inspection.training._has_bfloat16"
TYPES = ("dent", "pinhole", "scratch")


def make_views(side: int, count: int = 32) -> list[View]:
    """Noise with a defect in the middle."""
    rng = np.random.default_rng(0)
    cover = np.zeros((side, side), np.uint8)
    cover[side // 2 - 8 : side // 2 + 8, side // 2 - 8 : side // 2 + 8] = 255
    return [View(rng.integers(0, 256, (side, side, 3), np.uint8), cover) for _ in range(count)]


def stepper(task: Localization, views: list[View], steps: int = 4) -> Callable[[], float]:
    """A call that trains a few steps and returns the seconds of one."""
    model, _ = task.build(task.network, len(TYPES), task.training.weights)
    wild = Augmentation(True, True, True, turn=10, scale=0.1, gain=1.25)
    shown = Shown(views, ["real"] * len(views), None, wild)
    batches = task.batches(shown, pd.DataFrame(), 0)

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            train(
                model, batches, task.loss, task.training, steps, Path(folder) / "key.pt",
                lambda step, values: None, pretrained=task.encoder(model),
            )  # fmt: skip
            return (time.perf_counter() - begin) / steps

    return run


def tester(task: Localization, view: View, count: int) -> Callable[[], float]:
    """A call that returns the seconds of one score map, in batches of some."""
    model, _ = task.build(task.network, len(TYPES), task.training.weights)
    images = np.stack([view.image] * count)

    def run() -> float:
        begin = time.perf_counter()
        score_maps(model, images)
        return (time.perf_counter() - begin) / count

    return run


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (
        ("repeats", 12),
        ("threads", 0),
        ("side", 256),
        ("trainings", 32),
        ("tests", 40),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    options = LocalizationOptions(side=arguments.side)
    calls = {}
    for network in ("lite0", "resnet18"):
        task, views = Localization(options, network, TYPES), make_views(arguments.side)
        calls[f"{network} step"] = stepper(task, views)
        calls[f"{network} test image"] = tester(task, views[0], 4)
    times: dict[str, list[float]] = {f"{n}, {a}": [] for n in calls for a in ("auto", "float32")}
    for _ in range(arguments.repeats + 1):
        for name, call in calls.items():
            for how in ("auto", "float32"):
                plain = patch(FLOAT32, lambda device: False) if how == "float32" else nullcontext()
                with plain:
                    times[f"{name}, {how}"].append(call())
    # The first round warms up.
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    report = {name: round(value, 4) for name, value in medians.items()}
    report["minutes of 800 lite0 steps"] = round(800 * medians["lite0 step, auto"] / 60, 2)
    each = (options.training.steps or 0) * medians["lite0 step, auto"]
    each += arguments.tests * medians["lite0 test image, auto"]
    report["minutes of localization"] = round(arguments.trainings * each / 60, 1)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
