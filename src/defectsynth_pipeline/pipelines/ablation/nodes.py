"""Nodes of the ablation: rows, cost and shots, made in a work folder and told in tables."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from defectsynth_pipeline.ablation.estimate import SECONDS
from defectsynth_pipeline.ablation.judging import OURS, Arm, Judges, compare_sets
from defectsynth_pipeline.ablation.rows import ALL, Recipe, Row, plan_rows, timed_rows
from defectsynth_pipeline.corpora.split import split_settings
from defectsynth_pipeline.fingerprints import code_fingerprint, fingerprint
from defectsynth_pipeline.hooks.tracking import nested_run
from defectsynth_pipeline.options import (
    AblationOptions,
    ArmOptions,
    ClassificationOptions,
    ExecutionOptions,
    FinetuneOptions,
    FramingOptions,
    IngestOptions,
    LocalizationOptions,
    MaskOptions,
    PromptOptions,
    ProtocolOptions,
    QualityOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.pipelines.ablation.making import Made, Workshop
from defectsynth_pipeline.schemas import empty_table

log = logging.getLogger(__name__)
ROOMS = ("ablation", "features", "measures", "verdict")  # whose code decides what is measured
_COLUMNS = 12  # of examples
COMPARED = ("base", "crop_paste_matched")  # what the gain of the shots curve is over


def gather_recipe(
    ingest: IngestOptions,
    masks: MaskOptions,
    framing: FramingOptions,
    prompts: PromptOptions,
    finetune: FinetuneOptions,
    synthesis: SynthesisOptions,
) -> Any:
    """How images are made: the options of all stages."""
    return Recipe(ingest, masks, framing, prompts, finetune, synthesis)


def gather_judges(
    arms: ArmOptions,
    classification: ClassificationOptions,
    localization: LocalizationOptions,
    protocol: ProtocolOptions,
    quality: QualityOptions,
) -> Any:
    """How images are measured and detectors compared."""
    return Judges(arms, classification, localization, protocol, quality)


def open_workshop(
    base_model: Any, checkpoints: Path, folder: Path, recipe: Any, execution: ExecutionOptions
) -> Any:
    """Where rows are made, and kept until the work folder is deleted."""
    return Workshop(base_model, checkpoints, folder, recipe, execution)


def compare_rows(
    samples: pd.DataFrame, workshop: Any, judges: Any, options: AblationOptions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make and measure every row, and train detectors on them if that is asked for."""
    from defectsynth_pipeline.ablation.shots import shot_samples
    from defectsynth_pipeline.ablation.table import ablation_table

    if "shots" in options.parts:
        shot_samples(samples, options, workshop.recipe.ingest.seed)  # fails now, not in an hour
    if "table" not in options.parts:
        return empty_table("ablation_table"), empty_table("ablation_report")
    rows = plan_rows(options, workshop.recipe)
    measured, made, references, extractor = _measured(rows, samples, workshop, judges)
    report = empty_table("ablation_report")
    if options.downstream:
        first = {one.row.name: made[one.row.name] for one in measured if not one.same_as}
        arms = [
            Arm(name, samples, m.images, m.masks, ["base"] if name == ALL else [])
            for name, m in first.items()
        ]
        report = _compared(arms, workshop, judges, "rows", ["base", ALL])
        report = report.assign(**split_settings(samples))
    return ablation_table(measured, references, extractor, report), report


def _measured(
    rows: list[Row], samples: pd.DataFrame, workshop: Workshop, judges: Judges
) -> tuple[list[Any], dict[str, Made], Any, Any]:
    """Every row's images, measured; of rows that have the same ones only the first."""
    from defectsynth_pipeline.ablation.rating import pixels_changed, see_references
    from defectsynth_pipeline.ablation.table import Measured
    from defectsynth_pipeline.features.extractors import choose_extractor

    quality = judges.quality
    extractor = choose_extractor(quality.inception, quality.lpips, quality.lpips_network)
    references = see_references(samples, extractor, quality)
    measured: list[Any] = []
    made: dict[str, Made] = {}
    first: dict[Path, str] = {}
    for number, row in enumerate(rows, start=1):
        log.info("row %d/%d: %s", number, len(rows), row.name)
        one = made[row.name] = workshop.row(samples, row)
        ratings = rate_set(one, samples, references, extractor, workshop, quality)
        accepted = one.images.manifest.groupby(["category", "defect_type"])["verdict"]
        share = {place: float((own != "rejected").mean()) for place, own in accepted}
        changed = {p: pixels_changed(one.images, made[ALL].images, p) for p in ratings}
        known = first.setdefault(one.images.root, row.name)
        same = known if known != row.name else ""
        measured.append(Measured(row, same, ratings, share, changed))
    return measured, made, references, extractor


def rate_set(
    made: Made,
    samples: pd.DataFrame,
    references: Any,
    extractor: Any,
    workshop: Workshop,
    quality: QualityOptions,
) -> dict[tuple[str, str], Any]:
    """Measures of a set by type; those of an earlier run are read."""
    from defectsynth_pipeline.ablation.rating import rate

    # The published ones alone and all of them are two sets in one folder.
    ids = sorted(made.images.manifest["image_id"])
    real = samples.loc[samples["split"].isin(["base", "test"]), "sha256"].tolist()
    key = fingerprint(ids, sorted(real), extractor.name, quality, code_fingerprint(*ROOMS))
    folder, began = workshop.folder / "quality" / key, time.time()
    there = folder.is_dir()
    given = made.images, made.masks, samples, references, extractor, quality
    ratings = dict(rate(*given, folder))
    if not there:
        workshop.clock.note("quality", SECONDS["quality"] * len(ids), time.time() - began)
    return ratings


def _compared(
    arms: list[Arm],
    workshop: Workshop,
    judges: Judges,
    name: str,
    controls: list[str],
) -> pd.DataFrame:
    def note(task: str, trainings: int, seconds: float) -> None:
        if trainings:
            steps = getattr(judges, task).training.steps or 1000
            each = SECONDS[task] * (
                steps if task == "localization" else 1 / len(judges.protocol.seeds)
            )
            workshop.clock.note(task, each * trainings, seconds)

    folder = workshop.folder / "detectors" / name
    return compare_sets(arms, judges, workshop.recipe, folder, nested_run, controls, note)


def draw_examples(
    samples: pd.DataFrame, workshop: Any, table: pd.DataFrame, options: AblationOptions
) -> Figure:
    """Some images of the plan as every row made them."""
    from defectsynth_pipeline.figures import ablation, style

    if table.empty:
        return style.empty_figure("No rows were made: ablation.parts leaves out table")
    first = set(table.loc[table["same_as"] == "", "row"])
    rows = [row for row in plan_rows(options, workshop.recipe) if row.name in first]
    sets = {row.name: workshop.row(samples, row).images for row in rows}
    shown = sets[ALL].manifest.sort_values("planned").groupby(["category", "defect_type"])
    return ablation.draw_examples(sets, list(shown.head(max(1, _COLUMNS // len(shown)))["planned"]))


def tell_cost(samples: pd.DataFrame, workshop: Any, options: AblationOptions) -> pd.DataFrame:
    """Time, memory and parameters with each idea and without."""
    from defectsynth_pipeline.ablation.cost import Variant, measure_cost
    from defectsynth_pipeline.shape.area import area_ratio_table
    from defectsynth_pipeline.shape.plan import plan_masks

    if "cost" not in options.parts:
        return empty_table("cost_table")
    variants = []
    for row in timed_rows(plan_rows(options, workshop.recipe)):
        ratios = area_ratio_table(samples, row.masks)
        mask_plan = plan_masks(samples, ratios, row.masks)
        plan = workshop.plan(samples, row.masks, row.synthesis)
        variants.append(Variant(row, workshop.masks(samples, row.masks), plan, mask_plan))
    network = workshop.network(samples)
    base = workshop.generator(samples).base
    return measure_cost(variants, samples, base, network, workshop.recipe, options)


def follow_shots(
    samples: pd.DataFrame, workshop: Any, judges: Any, options: AblationOptions
) -> pd.DataFrame:
    """Quality and the detectors' gain with a few real defects of each type, and with more.

    The images are those that `augment` would publish with the options as they are.
    """
    from defectsynth_pipeline.ablation.rating import see_references
    from defectsynth_pipeline.ablation.shots import quality_rows, shot_samples, shots_curve
    from defectsynth_pipeline.features.extractors import choose_extractor

    if "shots" not in options.parts:
        return empty_table("shots_curve")
    recipe, quality, each = workshop.recipe, judges.quality, {"count": options.count, "per": "type"}
    how = (recipe.masks.model_copy(update=each), recipe.synthesis.model_copy(update=each))
    extractor = choose_extractor(quality.inception, quality.lpips, quality.lpips_network)
    points = dict(shot_samples(samples, options, recipe.ingest.seed))
    whole = samples[samples["category"].isin(next(iter(points.values()))["category"])]
    references = see_references(whole, extractor, quality)
    rated, reports = {}, {}
    for name, cut in points.items():
        log.info("%s base images per type", name)
        made = workshop.images(cut, *how)
        ratings = rate_set(made, whole, references, extractor, workshop, quality)
        rated[name] = quality_rows(ratings, references, made.images, extractor)
        arms = [Arm(OURS, cut, made.images, made.masks, COMPARED)]
        reports[name] = _compared(arms, workshop, judges, f"{name} shots", list(COMPARED))
    return shots_curve(points, rated, reports)
