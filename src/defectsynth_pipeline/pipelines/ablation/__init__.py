"""What each idea of the method is worth and costs, and what more real defects bring."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures.ablation import draw_ablation, draw_cost, draw_shots
from defectsynth_pipeline.pipelines.ablation.nodes import (
    compare_rows,
    draw_examples,
    follow_shots,
    gather_judges,
    gather_recipe,
    open_workshop,
    tell_cost,
)
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.pipelines.ingest import read_samples

STAGES = ("masks", "framing", "prompts", "finetune", "synthesis")
JUDGES = ("arms", "classification", "localization", "protocol", "quality")


def create_pipeline() -> Pipeline:
    """`corpora`, `base_model` -> `ablation_table`, `cost_table`, `shots_curve` and their figures.

    It reads the corpora itself and keeps what it makes in `ablation_work`: the latest samples,
    masks and images of `augment` stay the latest.
    """
    made = ["ablation_samples", "workshop", "judges", "params:ablation"]
    nodes = [
        Node(read_samples, ["corpora", "params:ingest"], "ablation_samples", name="read_samples"),
        Node(
            gather_recipe,
            ["params:ingest", *(f"params:{stage}" for stage in STAGES)],
            "recipe",
            name="gather_recipe",
        ),
        Node(
            gather_judges, [f"params:{stage}" for stage in JUDGES], "judges", name="gather_judges"
        ),
        Node(
            open_workshop,
            ["base_model", "finetune_checkpoints", "ablation_work", "recipe", "params:execution"],
            "workshop",
            name="open_workshop",
        ),
        Node(compare_rows, made, ["ablation_table", "ablation_report"], name="compare_rows"),
        Node(
            tell_cost,
            ["ablation_samples", "workshop", "params:ablation"],
            "cost_table",
            name="tell_cost",
        ),
        Node(follow_shots, made, "shots_curve", name="follow_shots"),
    ]
    drawn = [
        Node(
            draw_examples,
            ["ablation_samples", "workshop", "ablation_table", "params:ablation"],
            "ablation_preview",
            name="draw_examples",
        ),
        Node(draw_ablation, "ablation_table", "ablation_figure", name="draw_ablation"),
        Node(draw_cost, "cost_table", "cost_figure", name="draw_cost"),
        Node(draw_shots, "shots_curve", "shots_figure", name="draw_shots"),
    ]
    return boxed("ablation", nodes) + pictures(drawn)
