"""How the benchmarks measure: medians of interleaved repeats, memory of a stage, the machine.

What is compared is run in turns in one process, so that a busy machine slows all of it alike.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import psutil
import torch

from defectsynth_pipeline.appearance.plan import plan_synthesis
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.demo.writer import write_demo
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import (
    IngestOptions,
    MaskOptions,
    PromptOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.rendering import ImageSetJob, publish, render_set
from defectsynth_pipeline.shape.area import area_ratio_table
from defectsynth_pipeline.shape.plan import plan_masks
from defectsynth_pipeline.shape.render import render_masks

Call = Callable[[], object]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = ["wall"]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        stage: What part of the pipeline it is.
        what: What was done, with its size.
        rate: How often a second.
        unit: Of what.
        naive: What the naive way is; "" where nothing is compared.
        naive_rate: Its rate in the same run; None likewise.
    """

    stage: str
    what: str
    rate: float
    unit: str
    naive: str = ""
    naive_rate: float | None = None

    @property
    def ratio(self) -> float | None:
        """By how much it is faster than the naive way."""
        return None if self.naive_rate is None else self.rate / self.naive_rate


def timed(call: Call, device: str = "cpu") -> float:
    """Seconds of one call by the chosen clock, the device's queue included."""
    now = CLOCKS[clock[0]]
    begin = now()
    call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return now() - begin


def in_turns(
    calls: Mapping[str, Call], repeats: int, device: str = "cpu"
) -> dict[str, list[float]]:
    """Seconds of every call, `repeats` of each in turns; the first of several is thrown away."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + (repeats > 1)):
        for name in list(calls) if repeat % 2 else list(reversed(calls)):
            elapsed = timed(calls[name], device)
            if repeat or repeats == 1:
                times[name].append(elapsed)
    return times


def medians(calls: Mapping[str, Call], repeats: int, device: str = "cpu") -> dict[str, float]:
    """The median of every call's seconds."""
    found = in_turns(calls, repeats, device)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


class Memory:
    """Peak of this process's memory, MB, while a stage runs, and its seconds."""

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    @contextmanager
    def watch(self, stage: str) -> Iterator[None]:
        """Note the peak of what runs within."""
        process, done, peak = psutil.Process(), threading.Event(), [0]

        def look() -> None:
            while not done.wait(0.05):
                peak[0] = max(peak[0], process.memory_info().rss)

        watcher = threading.Thread(target=look, daemon=True)
        begin = time.perf_counter()
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            self.seconds[stage] = round(time.perf_counter() - begin, 1)
            self.peaks[stage] = round(max(peak[0], process.memory_info().rss) / 2**20)


def machine(device: str) -> dict[str, Any]:
    """What the numbers depend on."""
    told = {
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "cores": psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "clock": clock[0],
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "architecture": platform.machine(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
    }
    return told | {name: version(name) for name in ("torch", "diffusers", "numpy")}


class Material(NamedTuple):
    """What is rendered: one category of the demo.

    Attributes:
        samples: Of the demo's flange.
        masks: A published set.
        plan: A plan of rows to render, all of the engine "diffusion".
    """

    samples: pd.DataFrame
    masks: ImageSet
    plan: pd.DataFrame


@contextmanager
def demo_material(count: int) -> Iterator[Material]:
    """Write the demo, make masks of its flange, and plan images."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        samples = make_samples(write_demo(root / "demo"), IngestOptions())
        samples = samples[samples["category"] == "flange"].reset_index(drop=True)
        masks = make_masks(samples, root, count)
        kinds = masks.manifest[["category", "defect_type"]].drop_duplicates()
        options = SynthesisOptions(count=count, engine="diffusion")
        chosen = kinds.assign(engine="diffusion", share=1.0)
        yield Material(
            samples, masks, plan_synthesis(samples, masks, chosen, options, PromptOptions())
        )


def make_masks(samples: pd.DataFrame, folder: Path, count: int) -> ImageSet:
    """Render and publish a set of masks."""
    options = MaskOptions(count=count, method="image")
    base = samples[samples["split"] == "base"]
    plan = plan_masks(base, area_ratio_table(base, options), options)
    job = ImageSetJob(
        "0" * 16, plan, lambda rows: render_masks(rows, samples=base, options=options)
    )
    return publish(render_set(job, folder / "work"), folder, version="v", name="masks")
