"""How fast this machine is with these images and this model: a few measured seconds.

Every unit of work is done once, or a part of it, as the stages themselves do it.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from defectsynth_pipeline.appearance.crops import Crops
from defectsynth_pipeline.appearance.finetune import finetune
from defectsynth_pipeline.appearance.sampler import Regions, denoise_regions
from defectsynth_pipeline.appearance.transfer import transferred
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.certificate.evidence import evidence, see
from defectsynth_pipeline.certificate.nulls import nulls_of, take_out
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.fingerprints import PACKAGE
from defectsynth_pipeline.imaging.pixels import from_float, to_float
from defectsynth_pipeline.options import (
    FinetuneOptions,
    FramingOptions,
    LocalizationOptions,
    MaskOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.shape.area import area_ratio_table
from defectsynth_pipeline.shape.plan import plan_masks
from defectsynth_pipeline.shape.render import render_masks
from defectsynth_pipeline.workers import one_thread

_FEW, _MORE = 2, 8  # images that a network is measured with; more of small ones
_SMALL = 128  # px


@dataclass(frozen=True)
class Speed:
    """Seconds that one of each takes, in one process; of one thread, but for a fine-tuning step.

    Attributes:
        step: A fine-tuning step, by image of its batch.
        denoised: An image through the network, coded and decoded.
        begun: A real defect set on a background.
        view: A view of a defect as the certificate sees it.
        nulls: A round of nulls of a base defect, without their views; windows: how many these are.
        mask: A mask interpolated in image space.
        latent_mask: One in latent space, by image of its batch.
        detector_step: An optimizer step of a detector.
    """

    step: float
    denoised: float
    begun: float
    view: float
    nulls: float
    windows: float
    mask: float
    latent_mask: float
    detector_step: float


@contextmanager
def _quiet() -> Iterator[None]:
    """What the stages say of made-up work is no news."""
    package = logging.getLogger(PACKAGE.name)
    level = package.level
    package.setLevel(logging.ERROR)
    try:
        yield
    finally:
        package.setLevel(level)


@_quiet()
def measure_speed(
    samples: pd.DataFrame,
    base: BaseModel,
    masks: MaskOptions,
    finetune_options: FinetuneOptions,
    framing: FramingOptions,
    synthesis: SynthesisOptions,
    localization: LocalizationOptions,
) -> Speed:
    """Measure on a few of the user's own images; the model is left as it is."""
    real, normals = _typical(samples)
    image, mask = real.image(), real.mask()
    good = next((n.image() for n in normals if n.shape == real.shape), image)
    side = framing.resolution or base.resolution
    windows: list[Any] = []
    rng = np.random.default_rng(0)
    seen = [see(image, mask)] * 8
    step = _step(base, finetune_options, side)
    evidence(seen[:1])  # loads the encoder
    with one_thread():  # as all but fine-tuning is done
        return Speed(
            step=step,
            denoised=_denoised(base, synthesis, side),
            begun=_seconds(
                lambda: from_float(transferred(good, mask, to_float(image), mask), good), repeats=2
            ),
            view=_seconds(lambda: evidence(seen)) / len(seen),
            nulls=_seconds(
                lambda: windows.extend(nulls_of(real, take_out(real), normals, rng, rounds=1))
            ),
            windows=float(len(windows) + 1),
            mask=_mask(samples, masks),
            latent_mask=_network_passes(base, side) * 1.3 * masks.latent.steps,
            detector_step=_detector_step(localization),
        )


def _typical(samples: pd.DataFrame) -> tuple[Sample, list[Sample]]:
    """The base defect whose mask is of median size, among some, and its category's normals."""
    base = samples[samples["split"] == "base"]
    some = list(each_sample(base.iloc[:: max(1, len(base) // 12)]))
    some.sort(key=lambda sample: int(sample.mask().sum()))
    real = some[len(some) // 2]
    of_category = samples[(samples["split"] == "normal") & (samples["category"] == real.category)]
    return real, list(each_sample(of_category.head(8)))


def _seconds(call: Callable[[], object], repeats: int = 1) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times)


def _step(base: BaseModel, options: FinetuneOptions, side: int) -> float:
    """Some steps of the trainer itself on made-up crops."""
    count, latent = 4, side // base.latent_factor
    channels = int(base.unet.config.in_channels)
    table = {"sample_id": "x", "prompt": 0, "defect_type": "x", "normal": False, "held_out": False}
    crops = Crops(
        torch.zeros(count, channels, latent, latent),
        torch.zeros(count, 1, side, side, dtype=torch.uint8),
        base.embed(["x"]).float().cpu(),
        pd.DataFrame([table] * count),
    )
    few = min(_few(side), options.batch_size)
    values = {"batch_size": few, "held_out": 0, "normal_share": 0.0}
    values |= {"gradient_accumulation": 1, "validate_every": 2, "checkpoint_every": 99, "steps": 4}
    chosen, moments = options.model_copy(update=values), []
    with tempfile.TemporaryDirectory() as folder:
        finetune(
            base,
            crops,
            chosen,
            key="x",
            checkpoints=Path(folder),
            on_metrics=lambda *_: moments.append(time.perf_counter()),
        )
    return (moments[1] - moments[0]) / 2 / few  # the first two steps warm up


def _denoised(base: BaseModel, options: SynthesisOptions, side: int) -> float:
    """A batch of a few images, as it is denoised and decoded."""
    few = _few(side)
    plain = torch.zeros(few, 3, side, side)
    masks = torch.zeros(few, 1, side, side)
    masks[:, :, side // 4 : side // 2, side // 4 : side // 2] = 1
    text = base.embed(["x"] * few)
    regions = Regions(
        start=plain.to(base.device, base.dtype),
        background=plain.to(base.device, base.dtype),
        masks=masks.to(base.device, base.dtype),
        references=base.encode(plain) if options.sae.enabled else None,
        text=text,
        negative=text,
        seeds=[0] * few,
    )
    # A ControlNet is there after fine-tuning only: the pass without one is multiplied.
    if base.controlnet is None:
        steps = int(options.steps * options.strength)
        return 1.5 * steps * _network_passes(base, side) + _coded(base, plain)
    denoise_regions(base, regions, options.model_copy(update={"steps": 4, "strength": 0.5}))
    seconds = _seconds(lambda: denoise_regions(base, regions, options)) / few
    return seconds + _coded(base, plain)


def _coded(base: BaseModel, plain: torch.Tensor) -> float:
    return _seconds(lambda: base.decode(base.encode(plain))) * 1.5 / len(plain)


@torch.no_grad()
def _network_passes(base: BaseModel, side: int) -> float:
    """Seconds of one pass of the UNet, by image."""
    few, latent = _few(side), side // base.latent_factor
    noisy = torch.zeros(few, int(base.unet.config.in_channels), latent, latent)
    noisy, text = noisy.to(base.device, base.dtype), base.embed(["x"] * few)
    return _seconds(lambda: base.unet(noisy, 10, text), repeats=2) / few


def _few(side: int) -> int:
    return _MORE if side <= _SMALL else _FEW


def _mask(samples: pd.DataFrame, options: MaskOptions) -> float:
    """A few masks of every type, less what a type costs however many there are."""
    base = samples[samples["split"] == "base"]
    first = base[["category", "defect_type"]].drop_duplicates().head(3)
    some = base.merge(first)
    seconds = []
    for count in (1, 6):
        how: dict[str, Any] = {"count": count, "per": "type", "method": "image", "pairs": {}}
        chosen = options.model_copy(update=how)
        plan = plan_masks(some, area_ratio_table(some, chosen), chosen)
        seconds.append(_seconds(partial(_rendered, plan, some, chosen)))
    return max(seconds[1] - seconds[0], 1e-4) / (5 * len(first))


def _rendered(plan: pd.DataFrame, base: pd.DataFrame, options: MaskOptions) -> list[Any]:
    return list(render_masks(plan, base, options))


def _detector_step(options: LocalizationOptions) -> float:
    """A forward and a backward pass of the localizer on one batch of windows."""
    from defectsynth_pipeline.inspection.localization import Localization
    from defectsynth_pipeline.inspection.training import fast_arithmetic

    task = Localization(options, "lite0", ("x",))
    model, _ = task.build("lite0", 1, options.training.weights)
    side = options.patch or options.side
    windows = torch.zeros(options.training.batch_size, 3, side, side)
    device = next(model.parameters()).device

    def step() -> None:
        with fast_arithmetic(device):
            logits = model(windows.to(device))
        logits.float().square().mean().backward()

    step()
    return _seconds(step, repeats=2)
