"""What a cost depends on and is not measured in seconds: images, networks, memory, disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch

from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.forecast.forecast import Facts, Settings
from defectsynth_pipeline.options import FramingOptions
from defectsynth_pipeline.shape.area import area_ratio_table
from defectsynth_pipeline.shape.plan import split_count
from defectsynth_pipeline.workers import count_workers

_LOOKED_AT = 64  # files whose size is taken for that of all


def gather_facts(
    samples: pd.DataFrame,
    base: BaseModel,
    settings: Settings,
    framing: FramingOptions,
    folder: Path,
) -> Facts:
    """Look at samples, model and machine; `folder` is where the run writes."""
    table = area_ratio_table(samples, settings.masks)
    kinds = table[["category", "defect_type"]].itertuples(index=False, name=None)
    capacity = dict(zip(kinds, map(int, table["mask_capacity"]), strict=True))
    counts = split_count(settings.masks.count, settings.masks.per, len(table))
    latent = np.dot(counts, table["space"] == "latent") / max(sum(counts), 1)
    some = samples[samples["split"] == "normal"].head(_LOOKED_AT)
    files = [Path(root, image) for root, image in zip(some["root"], some["image"], strict=True)]
    networks = (base.unet, base.controlnet or base.unet)
    return Facts(
        samples=samples,
        capacity=capacity,
        latent=float(latent),
        image_bytes=float(np.mean([path.stat().st_size for path in files] or [0])),
        pixels=float((samples["width"] * samples["height"]).mean()),
        side=framing.resolution or base.resolution,
        weights=float(sum(4 * _parameters(network) for network in networks)),
        model=float(sum(4 * _parameters(n) for n in (*networks, base.vae, base.text_encoder))),
        workers=count_workers(settings.execution),
        memory=float(psutil.virtual_memory().available),
        disk=float(shutil.disk_usage(folder).free),
    )


def _parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
