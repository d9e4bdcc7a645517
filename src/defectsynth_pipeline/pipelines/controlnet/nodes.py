"""Nodes of the fine-tuning stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from defectsynth_pipeline.fingerprints import code_fingerprint, fingerprint
from defectsynth_pipeline.hooks.tracking import nested_run
from defectsynth_pipeline.options import (
    ExecutionOptions,
    FinetuneOptions,
    FramingOptions,
    PromptOptions,
)

# Rooms whose code decides what is made here: a change elsewhere restarts nothing.
ROOMS = ("imaging", "corpora", "base_model", "appearance")


def cut_crops(
    samples: pd.DataFrame,
    base_model: Any,
    options: FinetuneOptions,
    framing: FramingOptions,
    prompts: PromptOptions,
) -> tuple[Any, str]:
    """What the ControlNet is trained on, and the fingerprint of all that decides the outcome."""
    from defectsynth_pipeline.appearance.crops import make_crops

    seen = samples[samples["split"].isin(["base", "normal"])]
    told = seen.drop(columns="root")  # where they lie changes nothing
    key = fingerprint(
        told, options, framing, prompts, base_model.fingerprint, code_fingerprint(*ROOMS)
    )
    return make_crops(seen, base_model, options, framing, prompts), key


def finetune_controlnet(
    crops: Any,
    key: str,
    base_model: Any,
    checkpoints: Path,
    options: FinetuneOptions,
    execution: ExecutionOptions,
) -> tuple[Any, pd.DataFrame]:
    """Adapt the ControlNet to the base split; resumes a killed run of the same inputs."""
    from defectsynth_pipeline.appearance.finetune import finetune
    from defectsynth_pipeline.appearance.finetune_launch import train_over

    train_over(execution, base_model, crops, options, key, checkpoints)
    with nested_run("finetuning", options.model_dump()) as on_metrics:
        return finetune(
            base_model, crops, options, key=key, checkpoints=checkpoints, on_metrics=on_metrics
        )
