"""Parameters: YAML lists every option with its default, and nothing unknown passes."""

from __future__ import annotations

import pytest
from kedro.config import OmegaConfigLoader
from kedro.framework.cli.utils import _split_params
from kedro.framework.session import KedroSession
from pydantic import ValidationError

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.parameters import STAGES, check_parameters
from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.settings import CONFIG_LOADER_ARGS
from sessions import run

ENVIRONMENTS = ["sd15", "paper", "thorough", "smoke"]


def load(repository, env="base", runtime_params=None):
    loader = OmegaConfigLoader(
        str(repository / "conf"), env=env, runtime_params=runtime_params, **CONFIG_LOADER_ARGS
    )
    return loader["parameters"]


def leaves(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def switched_off(values):
    """The groups of options that are null in a set of parameters, whose options have no value."""
    return {
        name
        for name in ("classification.paper", "localization.paper", "protocol.shares")
        if values[name.split(".")[0]][name.split(".")[1]] is None
    }


@pytest.mark.parametrize("stage", STAGES)
def test_base_lists_every_option_with_its_default(repository, stage):
    values = load(repository)[stage]
    expected = STAGES[stage]().model_dump()
    assert set(leaves(values)) == set(leaves(expected))
    assert STAGES[stage](**values).model_dump() == expected


def test_base_has_no_other_parameters(repository):
    assert set(load(repository)) == set(STAGES)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_environments_change_only_what_they_name(repository, env):
    base, changed = load(repository), load(repository, env)
    check_parameters(changed)
    assert changed != base
    missing = [name for name in leaves(base) if not name.startswith(tuple(switched_off(changed)))]
    assert {*leaves(changed)} - {*switched_off(changed)} == {*missing}


@pytest.mark.parametrize(
    ("runtime", "name", "remedy"),
    [
        ({"masks": {"cuont": 5}}, "masks.cuont = 5", "did you mean masks.count?"),
        ({"synthesis": {"sae": {"enbled": True}}}, "synthesis.sae.enbled", "synthesis.sae.enabled"),
        ({"mask": {"count": 5}}, "mask = ", "did you mean masks?"),
        ({"zzz": 1}, "zzz = 1", "use one of ingest, masks"),
        ({"masks": {"count": "many"}}, "masks.count = 'many'", "valid integer"),
        ({"masks": {"tau": 1.5}}, "masks.tau = 1.5", "less than 1"),
        ({"masks": {"method": "magic"}}, "masks.method = 'magic'", "'hybrid'"),
        ({"masks": 3}, "masks = 3", "valid dictionary"),
        ({"root": 5}, "root = 5", "path"),
    ],
)
def test_bad_parameters_are_named(repository, runtime, name, remedy):
    with pytest.raises(InputError) as caught:
        check_parameters(load(repository, runtime_params=runtime))
    message = str(caught.value)
    assert name in message
    assert remedy in message
    assert "--params" in message


@pytest.mark.parametrize(
    "given",
    [
        "masks.tolerance=.inf",
        "masks.count=1000000000000",
        "masks.seed=-1",
        "finetune.learning_rate=.inf",
        "finetune.mask_weight=.inf",
        "framing.context=.inf",
        "framing.resolution=1000000",
        "synthesis.guidance=.inf",
        "synthesis.compose.collar=.inf",
        "synthesis.sae.cap=.inf",
        "synthesis.steps=1001",
        "synthesis.count=1000000000000",
        "ingest.categories=[]",
        "ingest.defect_types=[]",
        "ingest.radiograph_context=.inf",
        "arms.names=[]",
        "arms.ratio=5 -1",
        "localization.side=1000000",
        "localization.training.batch_size=1000000",
        "localization.training_set.count=1000000000000",
        "protocol.augment.gain=.inf",
        "protocol.seeds=0 -1",
        "protocol.bootstrap=1000000000000",
        "pretrain.vae_learning_rate=.inf",
    ],
)
def test_what_no_one_can_mean_is_refused_by_key_value_and_bound(given):
    name, _, value = given.partition("=")
    with pytest.raises(InputError, match="out of range") as caught:
        check_parameters(_split_params(None, None, given))
    assert caught.value.value.startswith(name)
    assert value.split()[-1].strip(".[]") in caught.value.value
    assert "should" in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "named", "remedy"),
    [
        ("ingest.shots=40", "ingest: shots = 40, max_base = 30", "no more shots"),
        ("ingest.shots=9,ingest.max_defects=8", "shots = 9, max_defects = 8", "no more shots"),
        ("ingest.protocol=lowest_third,ingest.partition=1", "partition = 1", "partition 0"),
        ("prompts.defect=a {part}", "prompts: defect = a {part}", "use only {category}"),
        ("finetune.epochs=5", "finetune: steps = 150, epochs = 5", "one of them"),
        ("framing.mode=full,framing.minimum=64", "minimum = 64", "leave minimum out"),
        ("synthesis.steps=2", "steps = 2, strength = 0.3", "raise one"),
        ("synthesis.compose.mode=delta", "compose.mode = delta", "engine: diffusion"),
        ("arms.names=base base", "arms.names: base is listed 2 times", "list it once"),
        ("arms.names=base@-3", "arms: names: base@-3", "a@n with n from 0"),
        ("arms.names=draem+draem", "arms: names: draem+draem", "mix different"),
        ("arms.names=external:gan", "names: external:gan", "external.gan.path"),
        ("arms.ratio=5 5", "arms.ratio: 5 is listed 2 times", "list it once"),
        ("classification.training.epochs=3", "steps = 150, epochs = 3", "null for the other"),
        ("localization.patch=600", "localization: patch = 600, side = 512", "no larger"),
        ("localization.paper.patch=512", "paper.patch = 512, paper.side = 256", "no larger"),
        ("protocol.seeds=0 0", "protocol.seeds: 0 is listed 2 times", "list it once"),
        ("protocol.shares.real=0.8", "protocol.shares: real = 0.8, normals = 0.25", "a share"),
        ("protocol.smallest_difference=0.2", "largest_detectable = 0.15", "no larger difference"),
    ],
)
def test_contradictions_are_refused_by_their_values(given, named, remedy):
    with pytest.raises(InputError, match="cannot be meant") as caught:
        check_parameters(_split_params(None, None, given))
    assert named in caught.value.value
    assert remedy in caught.value.remedy
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"method": "perlin", "pairs": {"a/b": [["x", "y"]]}}, "method = perlin, pairs of a/b"),
        ({"pairs": {"a/b": [["x", "x"]]}}, "pairs of a/b"),
    ],
)
def test_pairs_that_give_nothing_are_refused(given, named):
    with pytest.raises(InputError, match=named):
        check_parameters({"masks": given})


def test_options_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        MaskOptions().count = 3


def test_a_session_refuses_an_unknown_parameter_before_loading_anything(tmp_path):
    with pytest.raises(InputError, match=r"masks\.cuont"):
        run(tmp_path, "ingest", masks={"cuont": 5})
    assert not (tmp_path / "data").exists()


def test_a_session_refuses_a_misspelt_option_in_yaml(repository, tmp_path):
    conf = tmp_path / "conf"
    (conf / "base").mkdir(parents=True)
    (conf / "local").mkdir()
    for source in (repository / "conf" / "base").glob("*.yml"):
        text = source.read_text().replace("  tau: 0.053", "  taw: 0.053")
        (conf / "base" / source.name).write_text(text)
    with (
        KedroSession.create(project_path=tmp_path, conf_source=str(conf)) as session,
        pytest.raises(InputError, match=r"masks\.taw"),
    ):
        session.run(pipeline_names=["masks"])


def test_lists_can_be_given_on_the_command_line():
    given = "arms.names=base crop_paste+defectsynth,protocol.seeds=0 1 2,arms.ratio=25"
    values = _split_params(None, None, given)
    arms = STAGES["arms"].model_validate(values["arms"])
    assert arms.names == ["base", "crop_paste+defectsynth"]
    assert arms.ratio == [25]
    assert STAGES["protocol"].model_validate(values["protocol"]).seeds == [0, 1, 2]


@pytest.mark.parametrize("env", ["base", "sd15", "paper", "smoke"])
def test_noise_levels_are_trained_where_they_are_sampled(repository, env):
    found = load(repository, env)
    assert found["finetune"]["strength"] == found["synthesis"]["strength"]
