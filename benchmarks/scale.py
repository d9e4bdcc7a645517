"""Memory and time by the number of images: planned, rendered, published, opened, shown, exported.

    python benchmarks/scale.py                  1,000 and 100,000 images; an hour on one core
    python benchmarks/scale.py 1000 10000

Small parts (64 x 80 px) and a tiny model with random weights: what grows is the number alone.
Every stage is a process of its own, on one thread. Prints one JSON: per stage and number seconds
and peak memory in MB, and the peak of the largest number over that of the smallest (`growth`).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from projects import REPOSITORY

sys.path.append(str(REPOSITORY / "tests"))
from categories import SHAPES, surface, write_category
from defectsynth_pipeline.appearance.engines import Judged, Made
from defectsynth_pipeline.appearance.plan import plan_synthesis
from defectsynth_pipeline.appearance.render import render_plan
from defectsynth_pipeline.base_model.loading import load_base_model
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.export import select_images, write_export
from defectsynth_pipeline.figures.gallery import draw_image_set
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ExportOptions, IngestOptions, PromptOptions
from defectsynth_pipeline.rendering import FinishedSet, ImageSetJob, publish, render_set
from small_models import FRAMING, SYNTHESIS, changed, engines_of, make_masks, write_small_compact

OPTIONS = changed(SYNTHESIS, steps=2, batch_size=16, sae={"enabled": False})


def measured(stage: Callable[[], object]) -> dict[str, float]:
    """Seconds and peak memory, MB, of a stage in a process of its own."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            torch.set_num_threads(1)
            stage()
            code = 0
        except BaseException:  # as the interpreter does
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        finally:
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(1)
    seconds = time.monotonic() - began
    return {"seconds": round(seconds, 1), "peak_mb": round(usage.ru_maxrss / 1024)}


class Stages:
    """What is done to so many images, one after the other, in a folder."""

    def __init__(self, folder: Path, samples: pd.DataFrame, masks: ImageSet, count: int) -> None:
        self.folder, self.samples, self.masks, self.count = folder, samples, masks, count

    def plan(self) -> None:
        """All rows, written as a table."""
        options = changed(OPTIONS, count=self.count)
        engines = engines_of(self.masks, "transfer")
        rows = plan_synthesis(self.samples, self.masks, engines, options, PromptOptions())
        rows.to_csv(self.folder / "plan.csv", index=False)

    def render(self) -> None:
        """All images, into the work folder."""
        plan = pd.read_csv(self.folder / "plan.csv", keep_default_na=False)
        render = partial(
            render_plan,
            plan=plan,
            samples=self.samples,
            masks=self.masks,
            base=load_base_model(self.folder.parent / "model", device="cpu"),
            options=OPTIONS,
            framing=FRAMING,
            judge=_accepted,
        )
        render_set(ImageSetJob("f00d", plan, render), self.folder / "work")

    def publish(self) -> None:
        """The finished set."""
        (work,) = (self.folder / "work").iterdir()
        publish(FinishedSet(work, self.count), self.folder, version="v", name="set")

    def open(self) -> None:
        """Look at every file, as each later stage does."""
        ImageSet.open(self.folder / "v" / "set")

    def show(self) -> None:
        """The preview of Kedro-Viz."""
        draw_image_set(ImageSet.open(self.folder / "v" / "set"))

    def export(self) -> None:
        """As COCO."""
        images, options = ImageSet.open(self.folder / "v" / "set"), ExportOptions(format="coco")
        write_export(select_images(images, self.samples, options), self.folder / "coco", options)


def _accepted(made: Made) -> Judged:
    return Judged(True, made.mask, {"verdict": "accepted", "reason": "", "certainty": 1.0})


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", type=int, nargs="*", default=[1000, 100_000])
    counts = sorted(parser.parse_args().counts)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_small_compact(place / "model")
        write_category(place / "parts" / "plate", surface, SHAPES, tested=["000"])
        samples = make_samples(place / "parts", IngestOptions(base_share=0.5))
        masks = make_masks(place / "masks", samples)
        for count in counts:
            (place / str(count)).mkdir()
            stages = Stages(place / str(count), samples, masks, count)
            for stage in ("plan", "render", "publish", "open", "show", "export"):
                told = measured(getattr(stages, stage))
                found.setdefault(stage, {})[str(count)] = told
                sys.stderr.write(f"{count} {stage} {told}\n")
    for told in found.values():
        peaks = [told[str(count)]["peak_mb"] for count in counts]
        told["growth"] = round(peaks[-1] / peaks[0], 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"before_mb": round(before), "stages": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
