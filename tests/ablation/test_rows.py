"""Rows differ from `all` in one thing each, and what there is not is refused by name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from defectsynth_pipeline.ablation.rows import ALL, Recipe, plainly, plan_rows, timed_rows
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.parameters import check_parameters
from defectsynth_pipeline.options import (
    ROWS,
    AblationOptions,
    FinetuneOptions,
    FramingOptions,
    IngestOptions,
    MaskOptions,
    PromptOptions,
    SynthesisOptions,
)


def recipe(**synthesis) -> Recipe:
    return Recipe(
        IngestOptions(),
        MaskOptions(),
        FramingOptions(),
        PromptOptions(),
        FinetuneOptions(),
        SynthesisOptions.model_validate(synthesis),
    )


def differences(row, whole) -> dict:
    found = {}
    for stage in ("masks", "synthesis"):
        mine, other = (getattr(one, stage).model_dump() for one in (row, whole))
        found |= {f"{stage}.{name}": mine[name] for name in mine if mine[name] != other[name]}
    return found


def test_every_row_is_all_with_one_thing_changed():
    off = {"sff": {"enabled": False}, "sae": {"enabled": False}}
    rows = plan_rows(AblationOptions(count=7), recipe(engine="auto", attempts=4, **off))
    whole = rows[0]
    assert [row.name for row in rows] == list(ROWS)
    assert whole.synthesis.sff.enabled
    assert whole.synthesis.sae.enabled
    assert (whole.synthesis.engine, whole.synthesis.attempts) == ("diffusion", 1)
    assert {(r.masks.count, r.masks.per, r.synthesis.count) for r in rows} == {(7, "type", 7)}
    found = {row.name: set(differences(row, whole)) for row in rows}
    assert found == {
        "all": set(),
        "without_hmi": {"masks.method"},
        "without_sff": {"synthesis.sff"},
        "without_sae": {"synthesis.sae"},
        "masks_geometric": {"masks.method"},
        "masks_perlin": {"masks.method"},
        "masks_image": {"masks.method"},
        "masks_latent": {"masks.method"},
        "masks_hybrid": set(),
        "steps_10": {"synthesis.steps"},
        "steps_20": set(),
        "steps_50": {"synthesis.steps"},
    }
    told = [(row.told()["hmi"], row.told()["sff"], row.told()["sae"]) for row in rows[:4]]
    assert told == [
        ("yes", "yes", "yes"),
        ("no", "yes", "yes"),
        ("yes", "no", "yes"),
        ("yes", "yes", "no"),
    ]


def test_all_is_there_whichever_rows_are_asked_for():
    rows = plan_rows(AblationOptions(rows=["steps_7"]), recipe())
    assert [row.name for row in rows] == [ALL, "steps_7"]
    assert rows[1].synthesis.steps == 7


def test_the_cost_of_as_many_steps_as_usual_is_told_once():
    rows = plan_rows(AblationOptions(), recipe())
    names = [row.name for row in timed_rows(rows)]
    assert names == ["all", "without_hmi", "without_sff", "without_sae", "steps_10", "steps_50"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("without_sea", "did you mean without_sae?"),
        ("mask_perlin", "did you mean masks_perlin?"),
        ("steps_0", "did you mean steps_"),
        ("zzz", "use some of all, without_hmi"),
    ],
)
def test_an_unknown_idea_is_refused_with_the_nearest_name(name, remedy):
    with pytest.raises(InputError) as caught:
        check_parameters({"ablation": {"rows": [ALL, name]}})
    assert f"rows: {name}" in str(caught.value)
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_row_of_less_than_one_step_is_refused():
    with pytest.raises(InputError, match=r"less than one step.*steps_2, synthesis.strength = 0.3"):
        plan_rows(AblationOptions(rows=["steps_2"]), recipe(strength=0.3))


def test_parts_and_shots_are_checked():
    assert AblationOptions(shots="3 all").shots == [3, "all"]
    for wrong in ({"parts": ["tables"]}, {"shots": [1]}, {"shots": ["some"]}, {"rows": []}):
        with pytest.raises(ValidationError):
            AblationOptions(**wrong)


def test_hybrid_of_one_space_is_that_space(demo):
    samples = make_samples([demo / "mvtec"], IngestOptions())
    flange = samples[samples["category"] == "flange"]
    hybrid = MaskOptions()
    assert plainly(hybrid, samples).method == "hybrid"
    assert plainly(hybrid, flange).method == "image"
    assert plainly(hybrid.model_copy(update={"tau": 1e-6}), flange).method == "latent"
    assert plainly(MaskOptions(method="perlin"), samples).method == "perlin"
