"""One task's way from the bank to its report; made for classification and for localization."""

# Without `annotations` from the future: Kedro makes a node's options of the annotated class, which
# differs by task, and looks the names of postponed annotations up in the module.

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.corpora.split import split_settings
from defectsynth_pipeline.figures import draw_confusion, draw_curves, draw_overlays
from defectsynth_pipeline.hooks.tracking import nested_run
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import (
    ArmOptions,
    ClassificationOptions,
    ExecutionOptions,
    FramingOptions,
    LocalizationOptions,
    ProtocolOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.review.decisions import apply_review
from defectsynth_pipeline.verdict.report import (
    classification_report,
    localization_report,
    mark_derived,
)
from defectsynth_pipeline.workers import crew

OPTIONS = {"classification": ClassificationOptions, "localization": LocalizationOptions}
REPORTS = {"classification": classification_report, "localization": localization_report}
DETECTORS = {"classification": "classifiers", "localization": "localizers"}


def create_pipeline(task: Literal["classification", "localization"]) -> Pipeline:
    """`samples`, image sets -> `bank`, the task's plan, detectors, results, history and report.

    `bank` is the same for both tasks, so that it is opened once where both are run.
    """
    plan, results = f"{task}_plan", f"{task}_results"
    planning = Node(
        training_planner(task),
        inputs=["bank", f"params:{task}"],
        outputs=plan,
        name=f"plan_{task}",
    )
    training = Node(
        trainer(task),
        inputs=[
            *(plan, "bank", "downstream_checkpoints"),
            *(f"params:{task}", "params:protocol", "params:execution"),
        ],
        outputs=[DETECTORS[task], results, f"{task}_history"],
        name=f"train_{DETECTORS[task]}",
        tags="training",
    )
    reporting = Node(
        reporter(task),
        inputs=[results, "samples", "params:protocol"],
        outputs=f"{task}_report",
        name=f"report_{task}",
    )
    return (
        bank_pipeline()
        + boxed(task, [planning, training, reporting], tags="judgement")
        + pictures(_drawings(task, results))
    )


def bank_pipeline() -> Pipeline:
    """`samples`, image sets -> `bank`."""
    bank = Node(
        open_bank,
        inputs=[
            "samples",
            "reviewed_images",
            "defect_masks",
            "params:arms",
            "params:synthesis",
            "params:framing",
        ],
        outputs="bank",
        name="open_bank",
    )
    return Pipeline([reviewing(), bank], tags="judgement")


def reviewing() -> Node:
    """The images as a person left them, for all that take images on."""
    return Node(
        apply_review, ["synthetic_images", "review"], "reviewed_images", name="apply_review"
    )


def open_bank(
    samples: pd.DataFrame,
    images: ImageSet,
    masks: ImageSet,
    arms: ArmOptions,
    synthesis: SynthesisOptions,
    framing: FramingOptions,
) -> Any:
    """All that arms may draw from, after a check of every file that no test image is in it."""
    from defectsynth_pipeline.arms.bank import open_bank

    return open_bank(samples, images, masks, arms, synthesis, framing)


def training_planner(task: str) -> Callable[..., pd.DataFrame]:
    """The node that plans a task's training sets."""
    kind = OPTIONS[task]

    def plan_training_sets(bank: Any, options: kind) -> pd.DataFrame:
        """Decide every row of every arm's training set."""
        from defectsynth_pipeline.arms.plan import plan_training
        from defectsynth_pipeline.arms.registry import arm_names

        return plan_training(bank, arm_names(bank.options), task, options.training_set)

    return plan_training_sets


def trainer(task: str) -> Callable[..., tuple[Any, Any, pd.DataFrame]]:
    """The node that trains and tests a task's detectors."""
    kind = OPTIONS[task]

    def train_detectors(
        plan: pd.DataFrame,
        bank: Any,
        checkpoints: Path,
        options: kind,
        protocol: ProtocolOptions,
        execution: ExecutionOptions,
    ) -> tuple[Any, Any, pd.DataFrame]:
        """Train a detector per category, arm and seed; evaluate on the real test samples."""
        from defectsynth_pipeline.inspection import experiment

        run = {
            "classification": experiment.run_classification,
            "localization": experiment.run_localization,
        }[task]
        with crew(execution, on_cards=True) as each:
            return run(plan, bank, options, protocol, checkpoints / task, nested_run, each)

    return train_detectors


def reporter(task: str) -> Callable[..., pd.DataFrame]:
    """The node that reports on a task's results."""
    make = REPORTS[task]

    def report_results(
        results: Any, samples: pd.DataFrame, protocol: ProtocolOptions
    ) -> pd.DataFrame:
        """Every metric per arm, with intervals and differences."""
        return mark_derived(make(results, protocol), samples).assign(**split_settings(samples))

    return report_results


def _drawings(task: str, results: str) -> list[Node]:
    if task == "classification":
        return [Node(draw_confusion, results, "confusion_matrices", name="draw_confusion")]
    return [
        Node(draw_curves, results, "detection_curves", name="draw_detection_curves"),
        Node(draw_overlays, [results, "samples"], "prediction_overlays", name="draw_overlays"),
    ]
