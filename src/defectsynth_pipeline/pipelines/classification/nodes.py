"""Nodes of the classification stage."""

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
    ClassificationOptions,
    FramingOptions,
    ProtocolOptions,
    SynthesisOptions,
)


def plan_classification(
    samples: pd.DataFrame,
    images: ImageSet,
    masks: ImageSet,
    arms: ArmOptions,
    synthesis: SynthesisOptions,
    framing: FramingOptions,
    options: ClassificationOptions,
) -> pd.DataFrame:
    """Decide every row of every arm's training set, after a check that no test image is in one."""
    from defectsynth_pipeline.arms.bank import open_bank
    from defectsynth_pipeline.arms.plan import plan_training
    from defectsynth_pipeline.arms.registry import arm_names

    bank = open_bank(samples, images, masks, arms, synthesis, framing)
    return plan_training(bank, arm_names(arms), "classification", options.training_set)


def train_classifiers(
    plan: pd.DataFrame,
    samples: pd.DataFrame,
    images: ImageSet,
    masks: ImageSet,
    checkpoints: Path,
    arms: ArmOptions,
    synthesis: SynthesisOptions,
    framing: FramingOptions,
    options: ClassificationOptions,
    protocol: ProtocolOptions,
) -> tuple[Any, Any, pd.DataFrame]:
    """Train a classifier per category, arm and seed; evaluate on the real test samples."""
    from defectsynth_pipeline.arms.bank import open_bank
    from defectsynth_pipeline.inspection.experiment import run_classification

    bank = open_bank(samples, images, masks, arms, synthesis, framing)
    return run_classification(
        plan, bank, options, protocol, checkpoints / "classification", nested_run
    )


def report_classification(
    results: Any, samples: pd.DataFrame, protocol: ProtocolOptions
) -> pd.DataFrame:
    """Accuracy and F1 per arm, with intervals and differences."""
    from defectsynth_pipeline.verdict.report import classification_report

    return classification_report(results, protocol).assign(**split_settings(samples))


def draw_confusion(results: Any) -> Figure:
    """True against predicted types, a panel per arm."""
    from defectsynth_pipeline import figures

    return figures.draw_confusion(results)
