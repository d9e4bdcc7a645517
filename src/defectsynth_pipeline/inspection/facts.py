"""What is written down about a training: for tables, for MLflow, beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from defectsynth_pipeline.inspection.jobs import Job, count_synthetic
from defectsynth_pipeline.inspection.task import Task
from defectsynth_pipeline.options import ProtocolOptions


def about(job: Job, task: Task[Any], n_steps: int) -> dict[str, Any]:
    """Return the columns of `results.META_COLUMNS` that are known before training."""
    return {
        "corpus": job.corpus,
        "category": job.category,
        "arm": job.arm,
        "seed": job.seed,
        "steps": n_steps,
        "set_size": len(job.rows),
        "n_synthetic": count_synthetic(job),
        "n_types": len(task.types),
    }


def parameters(
    job: Job, task: Task[Any], protocol: ProtocolOptions, n_steps: int
) -> dict[str, object]:
    """Return what a tracked run is found by."""
    training = task.training
    return {
        "task": task.name,
        **about(job, task, n_steps),
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "select": protocol.select,
    }


def description(job: Job, task: Task[Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return meta.json of a detector: how to build it again and where it comes from."""
    kept = {name: meta[name] for name in ("seed", "weights", "steps", "checkpoint_step")}
    where = {"corpus": job.corpus, "category": job.category, "arm": job.arm}
    options = {"options": task.training.model_dump()}
    return {"task": task.name} | where | task.settings() | kept | options
