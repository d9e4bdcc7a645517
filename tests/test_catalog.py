"""The catalog and the pipelines agree, and every entry is versioned, layered and shown."""

from __future__ import annotations

import inspect

import pandas as pd
import pytest
from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import _create_hook_manager
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog
from kedro.io.core import parse_dataset_definition

from defectsynth_pipeline.datasets.file import FileDataset
from defectsynth_pipeline.datasets.folder import FolderDataset
from defectsynth_pipeline.hooks.parameters import CATALOG_PARAMETERS, STAGES
from defectsynth_pipeline.schemas import empty_table
from defectsynth_pipeline.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS
from sessions import REPOSITORY

IN_MEMORY = {"bank", "generator", "reviewed_images", "recipe", "judges", "workshop"}
IN_MEMORY |= {"report_so_far", "measured_report", "training_crops", "training_key"}
WORK = {"finetune_checkpoints", "pretrain_checkpoints", "downstream_checkpoints"}
WORK |= {"mask_work", "image_work", "ablation_work"}
UNVERSIONED = IN_MEMORY | WORK | {"corpora", "base_model", "review"}
# What judges the images lies in Kedro's folders too, and has layers of its own behind them.
FOLDERS = {"training_sets": "model_input", "detectors": "models", "predictions": "model_output"}
LAYERS = {"raw", "intermediate", "primary", "feature", *FOLDERS}
LAYERS |= {"model_input", "models", "model_output", "reporting"}


@pytest.fixture(scope="module")
def registry() -> dict:
    configure_project("defectsynth_pipeline")
    return dict(pipelines)


@pytest.fixture(scope="module")
def used(registry) -> set[str]:
    return set().union(*(pipeline.datasets() for pipeline in registry.values()))


def loader_of(env="base", runtime_params=None) -> OmegaConfigLoader:
    conf = str(REPOSITORY / "conf")
    return CONFIG_LOADER_CLASS(conf, env=env, runtime_params=runtime_params, **CONFIG_LOADER_ARGS)


@pytest.fixture(scope="module")
def factories() -> dict:
    return loader_of()["catalog"]


@pytest.fixture(scope="module")
def entries(factories, used) -> dict:
    """Every entry that a pipeline uses, as the factories make it."""
    resolver = DataCatalog.from_config(factories).config_resolver
    names = {name for name in used if not name.startswith("params:")}
    found = {name: resolver.resolve_pattern(name) for name in names}
    return {name: entry for name, entry in found.items() if entry}


@pytest.fixture(scope="module")
def single(entries) -> dict:
    """The entries outside the partitions."""
    return {name: entry for name, entry in entries.items() if "." not in name}


def test_pipelines_have_the_names_users_type(registry):
    stages = {"ingest", "masks", "controlnet", "synthesis", "report"}
    assert stages | {"augment", "pretrain", "__default__"} <= set(registry)
    nodes = {node.name for stage in stages for node in registry[stage].nodes}
    assert {node.name for node in registry["augment"].nodes} == nodes
    both = registry["augment"] + registry["downstream"]
    assert registry["__default__"].nodes == both.nodes
    judged = {"classification", "localization"}
    own = {node.name for node in registry["downstream"].nodes if node.namespace == "judging"}
    own |= {f"reporting.draw_{what}" for what in ("verdict", "ratio", "training")}
    own |= {"continue_report", "report_verdict"}
    nodes = {node.name for stage in judged for node in registry[stage].nodes}
    assert {node.name for node in registry["downstream"].nodes} == nodes | own


def test_every_node_belongs_to_the_box_of_its_stage(registry):
    stages = "ingest masks synthesis pretrain classification localization tables"
    stages += " quality ablation export"
    boxes = {stage: stage for stage in stages.split()} | {"controlnet": "finetuning"}
    for stage, box in boxes.items():
        assert {node.namespace for node in registry[stage].nodes} - {"reporting", None} == {box}
    assert {node.namespace for node in registry["report"].nodes} == {None}


def test_no_node_takes_more_than_six_inputs(registry):
    wide = {n.name for p in registry.values() for n in p.nodes if len(n.inputs) > 6}
    assert wide == set()


def test_the_bank_is_opened_once_and_every_task_takes_it(registry):
    nodes = registry["downstream"].nodes
    assert [node.name for node in nodes if "bank" in node.outputs] == ["open_bank"]
    takers = {node.name for node in nodes if "bank" in node.inputs}
    assert takers == {
        "classification.plan_classification",
        "classification.train_classifiers",
        "localization.plan_localization",
        "localization.train_localizers",
    }


def test_partitions_are_the_two_pipelines_three_times_and_the_tables(registry):
    once = registry["augment"] + registry["downstream"]
    names = {f"partition_{k}.{node.name}" for k in range(3) for node in once.nodes}
    names |= {node.name for node in registry["tables"].nodes}
    assert {node.name for node in registry["partitions"].nodes} == names
    free = {n for n in registry["partitions"].inputs() if not n.startswith("params:")}
    folders = WORK - {"pretrain_checkpoints", "ablation_work"}
    assert free == {"corpora", "base_model"} | {
        f"partition_{k}.{name}"
        for k in range(3)
        for name in folders | {"review", "earlier_quality_report"}
    }


def test_a_partition_has_every_entry_one_folder_deeper(entries, single):
    twins = {name: entry for name, entry in entries.items() if name.startswith("partition_1.")}
    assert len(twins) > 30
    for name, entry in twins.items():
        path, alone = entry.get("filepath", ""), single[name.removeprefix("partition_1.")]
        assert path.replace("/partition_1/", "/") == alone.get("filepath", "")
        layer = entry["metadata"]["kedro-viz"]["layer"]
        assert layer == f"partition_1 {alone['metadata']['kedro-viz']['layer']}"
        other = {"filepath": "", "optional": "", "metadata": ""}
        assert entry | other == alone | other


def test_every_dataset_of_a_pipeline_is_in_the_catalog(entries, used):
    assert {name for name in used if not name.startswith("params:")} == set(entries)


def test_every_entry_of_the_catalog_is_used(factories, used):
    resolver = DataCatalog.from_config(factories).config_resolver
    unused = {name for name in factories if "{" not in name} - used
    assert unused == set()
    patterns = {name for name in factories if "{" in name and not name.startswith("partition_")}
    assert patterns == {resolver.match_dataset_pattern(n) for n in used if "." not in n} & patterns


def test_every_parameter_is_used(used):
    assert {n.removeprefix("params:") for n in used if n.startswith("params:")} == set(STAGES)


def test_every_entry_has_a_layer(entries):
    layers = {name: entry["metadata"]["kedro-viz"]["layer"] for name, entry in entries.items()}
    assert {_alone(layer) for layer in layers.values()} <= LAYERS


def test_files_lie_in_the_folder_of_their_layer(entries):
    for name, entry in entries.items():
        layer = _alone(entry["metadata"]["kedro-viz"]["layer"])
        if "filepath" in entry:
            folder = entry["filepath"].split("/")[1]
            assert folder.split("_", maxsplit=1)[1] == FOLDERS.get(layer, layer), name


def _alone(layer: str) -> str:
    """A layer without the partition it is of."""
    return layer.rpartition(" ")[2]


def test_everything_but_inputs_and_work_folders_is_versioned(single):
    assert {name for name, entry in single.items() if not entry.get("versioned")} == UNVERSIONED


def test_everything_versioned_is_published_whole(single):
    kinds = {parse_dataset_definition(dict(e))[0] for e in single.values() if e.get("versioned")}
    assert {k for k in kinds if not issubclass(k, (FileDataset, FolderDataset))} == set()


def test_what_only_memory_holds_is_handed_on_as_it_is(single):
    assert {n: single[n]["copy_mode"] for n in IN_MEMORY} == dict.fromkeys(IN_MEMORY, "assign")


def test_what_a_person_would_look_at_has_a_preview_that_kedro_viz_knows(single):
    unseen = UNVERSIONED - {"base_model"}
    shown = {"TablePreview", "ImagePreview", "HTMLPreview", "JSONPreview", "PlotlyPreview"}
    for name, entry in single.items():
        kind, _ = parse_dataset_definition(dict(entry))
        assert hasattr(kind, "preview") == (name not in unseen), name
        if name in unseen:
            continue
        signature = inspect.signature(kind.preview)
        told = signature.return_annotation
        assert getattr(told, "__name__", told) in shown, name
        signature.bind(None, **entry["metadata"]["kedro-viz"].get("preview_args", {}))


def test_marks_for_mlflow_are_known(entries):
    marks = {entry["metadata"].get("mlflow") for entry in entries.values()}
    assert marks == {"artifact", "table", None}


def test_runtime_parameters_reach_the_catalog():
    given = {"root": "/my parts/ö", "base_model": "/models/sd", "review": "/r.json"}
    assert set(given) == set(CATALOG_PARAMETERS)
    entries = loader_of(runtime_params=given)["catalog"]
    assert entries["corpora"]["filepath"] == "/my parts/ö"
    assert entries["base_model"]["model"] == "/models/sd"
    assert entries["review"]["review"] == "/r.json"


def test_the_default_is_the_demo_and_the_compact_model(entries):
    assert entries["corpora"]["filepath"] == entries["corpora"]["demo"]
    assert entries["base_model"]["model"] == "compact"


@pytest.mark.parametrize("env", ["sd15", "paper", "thorough", "smoke"])
def test_the_catalog_can_be_made_in_every_environment(tmp_path, env, registry):
    loader = loader_of(env)
    context = KedroContext(tmp_path, loader, env, "defectsynth_pipeline", _create_hook_manager())
    assert isinstance(context.catalog, DataCatalog)
    expected = STAGES["masks"](**loader["parameters"]["masks"])
    assert context.catalog["params:masks"].load() == expected


def test_tables_keep_names_that_look_like_numbers_or_nothing(tmp_path, entries):
    entry = {**entries["samples"], "filepath": (tmp_path / "samples.csv").as_posix()}
    named = {"sample_id": "a/007/nan/1", "category": "007", "defect_type": "nan", "width": 4}
    fields = {n: 1 if t == "int64" else "" for n, t in empty_table("samples").dtypes.items()}
    samples = pd.DataFrame([fields | named])
    catalog = DataCatalog.from_config({"samples": entry})
    catalog["samples"].save(samples)
    loaded = catalog["samples"].load()
    assert loaded.loc[0].tolist() == samples.loc[0].tolist()
    assert loaded["width"].dtype == int
