"""Nodes of the localization stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from defectsynth_pipeline.corpora.split import split_settings
from defectsynth_pipeline.hooks.tracking import nested_run
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import (
    ArmOptions,
    FramingOptions,
    LocalizationOptions,
    ProtocolOptions,
    SynthesisOptions,
)


def plan_localization(
    samples: pd.DataFrame,
    images: ImageSet,
    masks: ImageSet,
    arms: ArmOptions,
    synthesis: SynthesisOptions,
    framing: FramingOptions,
    options: LocalizationOptions,
) -> pd.DataFrame:
    """Decide every row of every arm's training set, after a check that no test image is in one."""
    from defectsynth_pipeline.arms.bank import open_bank
    from defectsynth_pipeline.arms.plan import plan_training
    from defectsynth_pipeline.arms.registry import arm_names

    bank = open_bank(samples, images, masks, arms, synthesis, framing)
    return plan_training(bank, arm_names(arms), "localization", options.training_set)


def train_localizers(
    plan: pd.DataFrame,
    samples: pd.DataFrame,
    images: ImageSet,
    masks: ImageSet,
    checkpoints: Path,
    arms: ArmOptions,
    synthesis: SynthesisOptions,
    framing: FramingOptions,
    options: LocalizationOptions,
    protocol: ProtocolOptions,
) -> tuple[Any, Any, pd.DataFrame]:
    """Train a U-Net per category, arm and seed; evaluate on the real test samples."""
    from defectsynth_pipeline.arms.bank import open_bank
    from defectsynth_pipeline.inspection.experiment import run_localization

    bank = open_bank(samples, images, masks, arms, synthesis, framing)
    folder = checkpoints / "localization"
    return run_localization(plan, bank, options, protocol, folder, nested_run)


def report_localization(
    results: Any, samples: pd.DataFrame, protocol: ProtocolOptions
) -> pd.DataFrame:
    """AUROC, AP, F1 and PRO per arm, with intervals and differences."""
    from defectsynth_pipeline.verdict.report import localization_report

    return localization_report(results, protocol).assign(**split_settings(samples))


def draw_detection_curves(results: Any) -> Figure:
    """ROC and precision-recall curves over pixels, a line per arm."""
    from defectsynth_pipeline import figures

    return figures.draw_curves(results)


def draw_overlays(results: Any, samples: pd.DataFrame) -> Figure:
    """Test images with their truth and what each arm's U-Net sees there."""
    from defectsynth_pipeline import figures

    return figures.draw_overlays(results, samples)
