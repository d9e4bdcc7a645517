"""What would end a run later ends it now, before anything is published."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.memory import lost_nodes
from defectsynth_pipeline.options import ArmOptions, ExportOptions, QualityOptions
from defectsynth_pipeline.review.decisions import apply_review, check_review

_LEAST = 300 << 20
"""Bytes that a run of the demo writes: tables, pictures, models and what a killed run goes on
from."""
_TRAININGS = 300 << 20
"""Bytes that trainings of detectors write beside that: networks, and a large one's checkpoint."""
_FILES = 200  # so many of the user's are measured; what is made of one is about as large


class EarlyChecks:
    """Runner, base model, arms, where an export goes, disk space; parameters come still earlier."""

    def __init__(self) -> None:
        self._project = Path()

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Find the disk."""
        self._project = context.project_path

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        """Refuse what cannot end well.

        Raises:
            InputError: Naming what is wrong.
        """
        check_runner(str(run_params["runner"]))
        inputs = {name: catalog.get(name) for name in pipeline.inputs()}
        for dataset in inputs.values():
            if hasattr(dataset, "check"):
                dataset.check()
        if "params:arms" in inputs:
            check_arms(inputs["params:arms"].load())
        if "params:quality" in inputs:
            check_quality(inputs["params:quality"].load(), inputs["params:arms"].load())
        if "params:export" in inputs:
            check_export(inputs["params:export"].load())
        more = _TRAININGS if "params:protocol" in inputs else 0
        if {"corpora", "params:synthesis"} <= inputs.keys():
            more += inputs["params:synthesis"].load().count * mean_size(inputs["corpora"].source)
        check_space(self._project, more)


class ReviewCheck:
    """A review must be of the very images that its run takes; asked once these are chosen."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        """Refuse a review of others.

        Raises:
            InputError: Naming both, or the run that makes images of its own first.
        """
        whole = pipeline + lost_nodes(pipeline, catalog)
        for node in whole.nodes:
            if node.func is not apply_review:
                continue
            images, review = node.inputs
            reviewed = catalog[review].load()
            if reviewed is None:
                continue
            if images in whole.all_outputs():
                raise InputError(
                    "a review is of images that are there, and this run would make others first",
                    file=reviewed.review.file,
                    remedy="run downstream alone with it, or augment alone",
                )
            check_review(reviewed.review, catalog[images].load())


def check_runner(runner: str) -> None:
    """Refuse runners that run nodes beside one another.

    torch's seeds, its threads and what is patched while a model loads belong to the whole process.

    Raises:
        InputError: It is such a runner.
    """
    for name in ("ThreadRunner", "ParallelRunner"):
        if name in runner:
            raise InputError(
                "nodes cannot run beside one another: they share torch, memory and seeds",
                value=name,
                remedy="use --runner=SequentialRunner",
            )


def check_arms(options: ArmOptions) -> None:
    """Refuse arms that there are not: they are needed late.

    Raises:
        InputError: Naming one.
    """
    from defectsynth_pipeline.arms.registry import arm_names, parse

    for name in arm_names(options):
        parse(name)


def check_quality(options: QualityOptions, arms: ArmOptions) -> None:
    """Refuse arms that cannot be measured, and weights that are not there.

    Raises:
        InputError: Naming one.
    """
    from defectsynth_pipeline.arms.registry import parse
    from defectsynth_pipeline.arms.shown import check_measurable
    from defectsynth_pipeline.features.extractors import find_weights

    for name in options.arms:
        parse(name)
        check_measurable(name, arms)
    find_weights(options.inception, options.lpips, options.lpips_network)


def check_export(options: ExportOptions) -> None:
    """Refuse to export nowhere, or over something.

    Raises:
        InputError: No folder is named, or it holds something.
    """
    from defectsynth_pipeline.export import check_folder

    if options.out is None:
        raise InputError(
            "it is not said where to export to",
            value="export.out = null",
            remedy="name a new folder: --params=export.out=FOLDER",
        )
    check_folder(Path(options.out))


def check_space(folder: Path, more: int) -> None:
    """Refuse a run for which the disk has too little space.

    Args:
        folder: Where the run writes.
        more: Bytes of the images and detectors that it will make, beside all else.

    Raises:
        InputError: Less is free.
    """
    free, needed = shutil.disk_usage(folder).free, _LEAST + more
    if free < needed:
        raise InputError(
            "the disk has too little free space for this run",
            file=folder,
            value=f"{free >> 20} MB free, about {needed >> 20} MB needed",
            remedy="free some space, or make fewer images: --params=synthesis.count=100",
        )


def mean_size(root: str) -> int:
    """Bytes of one file below a folder, of the first `_FILES`; 0 where none is yet."""
    files = (path for path in Path(root).rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path, _ in zip(files, range(_FILES), strict=False)]
    return sum(sizes) // max(len(sizes), 1)
