"""How the shipped compact base model is made; `augment` uses what this once made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.pipeline import Node, Pipeline
from matplotlib.figure import Figure

from defectsynth_pipeline.fingerprints import fingerprint
from defectsynth_pipeline.hooks.tracking import live_metrics
from defectsynth_pipeline.options import PretrainOptions
from defectsynth_pipeline.pipelines.boxes import boxed


def pretrain(checkpoints: Path, options: PretrainOptions) -> tuple[Any, Figure]:
    """Train the compact base on procedural scenes; resumes a killed run of the same options."""
    from defectsynth_pipeline.compact.model import CompactModel, preview
    from defectsynth_pipeline.compact.pretraining import train_denoiser, train_vae

    folder = checkpoints / fingerprint(options)
    vae = train_vae(options, folder, live_metrics)
    components = train_denoiser(vae, options, folder, live_metrics)
    model = CompactModel.trained(components, options, folder)
    return model, preview(components, options)


def create_pipeline() -> Pipeline:
    """Nothing but options -> `compact_model`, `pretrain_preview`."""
    stage = [
        Node(
            pretrain,
            inputs=["pretrain_checkpoints", "params:pretrain"],
            outputs=["compact_model", "pretrain_preview"],
            name="train_compact_model",
        )
    ]
    return boxed("pretrain", stage, tags="training")
