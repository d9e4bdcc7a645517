"""Stage 2, inference: draft, choose, plan, render, look."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.figures.certificate import draw_certificate
from defectsynth_pipeline.figures.engines import draw_engines
from defectsynth_pipeline.figures.strips import draw_real_and_synthetic
from defectsynth_pipeline.pipelines.boxes import boxed, pictures
from defectsynth_pipeline.pipelines.synthesis.nodes import (
    choose_engines,
    draw_first_look,
    fit_certificate,
    make_generator,
    plan_images,
    render_images,
    summarise_images,
)


def create_pipeline() -> Pipeline:
    """`defect_masks`, `controlnet` -> `synthesis_plan`, `synthetic_images`, `synthetic_preview`.

    The two decisions, what passes and which engine makes what, are in no box.
    """
    # Of what could run after ingest, Kedro takes nodes by name: this one before any training.
    first = Node(
        draw_first_look,
        ["samples", "review", "params:masks", "params:synthesis"],
        "first_look",
        name="draw_first_look",
    )
    decisions = [
        Node(
            fit_certificate,
            ["samples", "base_model", "params:synthesis", "params:execution"],
            ["certificate", "certificate_test"],
            name="fit_certificate",
        ),
        Node(
            choose_engines,
            inputs=[
                "samples",
                "defect_masks",
                "certificate",
                "review",
                "params:synthesis",
                "params:execution",
            ],
            outputs=["engine_choice", "engine_trials"],
            name="choose_engines",
        ),
    ]
    stage = [
        Node(
            plan_images,
            ["samples", "defect_masks", "engine_choice", "params:synthesis", "params:prompts"],
            "synthesis_plan",
            name="plan_images",
        ),
        Node(
            make_generator,
            ["base_model", "controlnet", "certificate", "params:framing", "params:execution"],
            "generator",
            name="make_generator",
        ),
        Node(
            render_images,
            inputs=[
                "synthesis_plan",
                "samples",
                "defect_masks",
                "generator",
                "image_work",
                "params:synthesis",
            ],
            outputs="synthetic_images",
            name="render_images",
        ),
    ]
    drawn = [
        Node(draw_certificate, "certificate_test", "certificate_figure", name="draw_certificate"),
        Node(
            draw_engines, ["engine_choice", "engine_trials"], "engine_figure", name="draw_engines"
        ),
        Node(
            draw_real_and_synthetic,
            ["samples", "synthetic_images"],
            "synthetic_preview",
            name="preview_images",
        ),
        Node(summarise_images, "synthetic_images", "synthesis_summary", name="summarise_images"),
    ]
    return (
        Pipeline([first], tags=["appearance", "pictures"])
        + Pipeline(decisions, tags="appearance")
        + boxed("synthesis", stage, tags="appearance")
        + pictures(drawn)
    )
