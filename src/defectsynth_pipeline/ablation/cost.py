"""What each idea costs (Tables IV and VII): time, memory and parameters, with it and without.

All variants are timed in turn in one process and the median of each is told, so that a busy
machine slows them alike; what is compared are ratios to `all`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import psutil
import torch

from defectsynth_pipeline.ablation.rows import ALL, Recipe, Row
from defectsynth_pipeline.appearance.adaptation import FinetunedModel
from defectsynth_pipeline.appearance.engines import Judged, Made
from defectsynth_pipeline.appearance.render import render_plan
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import AblationOptions
from defectsynth_pipeline.resumable import Progress
from defectsynth_pipeline.schemas import SCHEMAS, own_columns
from defectsynth_pipeline.shape.render import render_masks

ASSET = Path(__file__).parents[1] / "assets" / "paper_cost.csv"
_MASKS = 4  # timed per image that is: they are made much faster
_LOOK = 0.005  # seconds between two looks at the memory
_MIB = 2**20


class Network(NamedTuple):
    """A fine-tuned model, and the seconds that its training took over all sessions."""

    model: FinetunedModel
    seconds: float


@dataclass(frozen=True)
class Variant:
    """What is timed of a row.

    Attributes:
        row: Which ideas are at work.
        masks: Those that the plan names.
        plan: The row's images.
        mask_plan: The row's masks.
    """

    row: Row
    masks: ImageSet
    plan: pd.DataFrame
    mask_plan: pd.DataFrame


def measure_cost(
    variants: Sequence[Variant],
    samples: pd.DataFrame,
    base: BaseModel,
    network: Network,
    recipe: Recipe,
    options: AblationOptions,
) -> pd.DataFrame:
    """Time some images and masks of every variant.

    Args:
        variants: `all` first.
        samples: Real images.
        base: The model with the fine-tuned networks in place.
        network: These networks and how long they were trained: they are one for all variants.
        recipe: Framing and fine-tuning.
        options: How many images, how often.

    Returns:
        The table `cost_table`; the paper's numbers are of its method on an RTX 4090 with another
        network. `memory_mib` is the peak of the process, or of the GPU where there is one.
    """
    images: dict[str, Callable[[], object]] = {}
    masks: dict[str, Callable[[], object]] = {}  # by options: most rows have the same
    for one in variants:
        plan = _in_turn(one.plan, options.cost_images)
        images[one.row.name] = _image_maker(one, plan, samples, base, recipe)
        few = _in_turn(one.mask_plan, _MASKS * options.cost_images)
        masks.setdefault(one.row.masks.method, _mask_maker(one, few, samples, base))
    of_images = _medians("timing images", images, options, base.device)
    of_masks = _medians("timing masks", masks, options, base.device)
    lines = []
    for one in variants:
        name, shown = one.row.name, min(options.cost_images, len(one.plan))
        per_image, memory = of_images[name][0] / shown, of_images[name][1]
        per_mask = of_masks[one.row.masks.method][0] / min(
            _MASKS * options.cost_images, len(one.mask_plan)
        )
        lines.append(
            {
                **one.row.told(),
                "device": str(base.device),
                "threads": torch.get_num_threads(),
                "images": shown,
                "repeats": options.cost_repeats,
                "steps_run": int(one.row.synthesis.steps * one.row.synthesis.strength),
                "parameters": _count(base.vae, base.unet, base.text_encoder, base.controlnet),
                "trained": _trained(network.model),
                "finetune_seconds": network.seconds,
                "seconds_per_mask": per_mask,
                "seconds_per_image": per_image,
                "pairs_per_second": 1 / (per_mask + per_image),
                "memory_mib": memory,
            }
        )
    return _beside_paper(pd.DataFrame(lines))


def _image_maker(
    one: Variant, plan: pd.DataFrame, samples: pd.DataFrame, base: BaseModel, recipe: Recipe
) -> Callable[[], object]:
    options = one.row.synthesis
    if not options.sae.enabled:  # the search for the best rotation is a part of SAE
        options = options.model_copy(update={"sae": options.sae.model_copy(update={"angles": 1})})

    def accept(made: Made) -> Judged:
        return Judged(True, made.mask, {})

    given: dict[str, Any] = {"samples": samples, "masks": one.masks, "base": base}
    given |= {"options": options, "framing": recipe.framing, "judge": accept}
    return lambda: list(render_plan(plan, plan, **given))


def _mask_maker(
    one: Variant, plan: pd.DataFrame, samples: pd.DataFrame, base: BaseModel
) -> Callable[[], object]:
    return lambda: list(render_masks(plan, samples, one.row.masks, base))


def _in_turn(plan: pd.DataFrame, count: int) -> pd.DataFrame:
    """The first rows of a plan, types in turn."""
    turn = plan.groupby(["category", "defect_type"]).cumcount()
    return plan.loc[turn.sort_values(kind="stable").index[:count]]


def _medians(
    name: str,
    make: dict[str, Callable[[], object]],
    options: AblationOptions,
    device: torch.device,
) -> dict[str, tuple[float, float]]:
    """Median seconds and peak MiB of every variant; a first round, which warms up, is not kept."""
    found: dict[str, list[tuple[float, float]]] = {row: [] for row in make}
    progress, done = Progress(name, len(make) * (options.cost_repeats + 1)), 0
    for repeat in range(options.cost_repeats + 1):
        for row in list(make) if repeat % 2 else reversed(make):
            with peak_memory(device) as peak:
                began = time.perf_counter()
                make[row]()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                took = time.perf_counter() - began
            if repeat:
                found[row].append((took, peak[0]))
            progress(done := done + 1)
    return {row: tuple(np.median(values, axis=0)) for row, values in found.items()}


@contextmanager
def peak_memory(device: torch.device) -> Iterator[list[float]]:
    """Give a list that holds, at the end, the MiB that were in use at most inside the block.

    On a GPU what torch had allocated there, else the memory of the process, looked at every
    few milliseconds.
    """
    peak, done = [0.0], threading.Event()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak[0] = torch.cuda.max_memory_allocated(device) / _MIB
        return
    process = psutil.Process()

    def look() -> None:
        while not done.wait(_LOOK):
            peak[0] = max(peak[0], process.memory_info().rss / _MIB)

    peak[0] = process.memory_info().rss / _MIB
    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _count(*networks: torch.nn.Module | None) -> int:
    return sum(p.numel() for network in networks if network for p in network.parameters())


def _trained(finetuned: FinetunedModel) -> int:
    lora = sum(weights.numel() for weights in (finetuned.lora or {}).values())
    return _count(finetuned.controlnet, finetuned.unet) + lora


def _beside_paper(lines: pd.DataFrame) -> pd.DataFrame:
    """Ratios to `all`, the paper's numbers, and the paper's rivals as rows of their own."""
    whole = lines[lines["row"] == ALL].iloc[0]
    for name in ("seconds_per_image", "seconds_per_mask", "memory_mib", "finetune_seconds"):
        lines[f"ratio.{name}"] = lines[name] / whole[name]
    paper = pd.read_csv(ASSET, dtype={"row": str, "note": str}).fillna({"note": ""})
    paper["paper.ratio"] = (
        paper["paper.seconds_per_image"]
        / paper.set_index("row").loc[ALL, "paper.seconds_per_image"]
    )
    ours = lines.merge(paper, how="left", on="row")
    others = paper[~paper["row"].isin(lines["row"])].assign(table="IV")
    every = pd.concat([ours, others], ignore_index=True)
    table = every.reindex(columns=own_columns("cost_table"))
    text = [name for name, kind in SCHEMAS["cost_table"].columns.items() if kind == "str"]
    return table.fillna(dict.fromkeys(text, ""))
