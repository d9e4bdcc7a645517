"""Fine-tuning by several processes, each with a part of every batch and, if it can, its own card.

Torch's launcher starts them and accelerate averages their gradients. They train the same network
as one process would, but for the last bits of sums. What they leave is a checkpoint: this process
takes it up as a run does that was killed after its last step.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch

from defectsynth_pipeline.appearance.crops import Crops
from defectsynth_pipeline.appearance.finetune import finetune
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.options import ExecutionOptions, FinetuneOptions
from defectsynth_pipeline.workers import count_workers, hand_over, launch, unpack


def train_over(
    execution: ExecutionOptions,
    base: BaseModel,
    crops: Crops,
    options: FinetuneOptions,
    key: str,
    checkpoints: Path,
) -> None:
    """Train by `execution.workers` processes, if `execution.engine` is torchrun, to the last step.

    Arguments are those of `finetune`, which then has nothing left to train.

    Raises:
        InputError: A process failed.
    """
    workers = count_workers(execution) if execution.engine == "torchrun" else 1
    workers = min(workers, options.batch_size)
    if workers == 1:
        return
    checkpoints.mkdir(parents=True, exist_ok=True)
    path = hand_over((base, crops, options), checkpoints / f"{key}.job")
    level = logging.getLogger("defectsynth_pipeline").getEffectiveLevel()
    try:
        launch(_ranked, (path, key, checkpoints, level), workers, key)
    finally:
        path.unlink()


def _ranked(path: Path, key: str, checkpoints: Path, level: int) -> None:
    """What each process does; the first one says how far it is."""
    torch.set_num_threads(1)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if os.environ["RANK"] == "0":
        form = "%(asctime)s %(levelname)-7s %(message)s"
        logging.basicConfig(format=form, datefmt="%H:%M:%S")
        logging.getLogger("defectsynth_pipeline").setLevel(level)
    base, crops, options = unpack(path)
    finetune(base, crops, options, key=key, checkpoints=checkpoints, on_metrics=lambda *_: None)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
