"""Every registered pipeline in Kedro-Viz: layers, what a shut box hides, names, what it offers."""

from __future__ import annotations

from collections import Counter

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog
from kedro_viz.data_access.managers import DataAccessManager

from defectsynth_pipeline.hooks.mistyped import what_was_mistyped
from defectsynth_pipeline.pipelines.boxes import SLICES
from defectsynth_pipeline.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS
from sessions import REPOSITORY

configure_project("defectsynth_pipeline")
NAMES = sorted(pipelines)
RESULTS = {"models", "model_output", "detectors", "predictions", "reporting"}
IN_BOXES = {
    "generator",
    "training_crops",
    "training_key",
}  # of these layers, and nothing that a person looks for


@pytest.fixture(scope="module", autouse=True)
def _all_pipelines() -> None:
    pipelines.set_requested(None)  # a session of another test loads those alone that it runs


@pytest.fixture(scope="module")
def catalog() -> DataCatalog:
    loader = CONFIG_LOADER_CLASS(str(REPOSITORY / "conf"), env="base", **CONFIG_LOADER_ARGS)
    catalog = DataCatalog.from_config(loader["catalog"])
    for name in set().union(*(pipeline.inputs() for pipeline in pipelines.values())):
        if name.startswith("params:"):
            catalog[name] = {}
    return catalog


@pytest.fixture(scope="module")
def graph(catalog) -> DataAccessManager:
    graph = DataAccessManager()
    graph.add_catalog(catalog, dict(pipelines))
    graph.add_pipelines(dict(pipelines))
    return graph


def layer_of(catalog, name: str) -> str:
    entry = catalog.get(name)
    return entry.metadata["kedro-viz"]["layer"].split(" ")[-1]


def entries(pipeline) -> set[str]:
    return {name for name in pipeline.datasets() if not name.startswith("params:")}


def shown_when_shut(graph, pipeline: str) -> set[str]:
    """What the page shows before any box is opened: boxes, nodes and entries."""
    tree = graph.create_modular_pipelines_tree_for_registered_pipeline(pipeline)
    found = (graph.nodes.get_node_by_id(child.id) for child in tree["__root__"].children)
    return {node.name for node in found}


@pytest.mark.parametrize("name", NAMES)
def test_no_circle_of_layers(graph, name):
    assert graph.get_sorted_layers_for_registered_pipeline(name)


def test_layers_are_in_the_order_of_the_data(graph):
    layers = graph.get_sorted_layers_for_registered_pipeline("__default__")
    order = "raw intermediate primary feature model_input model_output training_sets detectors"
    wanted = [*order.split(), "predictions", "reporting"]
    assert [layer for layer in layers if layer in wanted] == wanted


@pytest.mark.parametrize("name", [name for name in NAMES if name != "partitions"])
def test_no_shut_box_hides_a_result(graph, catalog, name):
    results = {e for e in entries(pipelines[name]) if layer_of(catalog, e) in RESULTS}
    assert results - IN_BOXES - shown_when_shut(graph, name) == set()


def test_the_shut_graph_shows_what_a_person_looks_for(graph):
    shown = shown_when_shut(graph, "__default__")
    assert {"samples", "defect_masks", "synthetic_images", "bank", "verdict"} <= shown
    assert {"engine_choice", "certificate", "choose_engines", "fit_certificate"} <= shown


@pytest.mark.parametrize("name", NAMES)
def test_no_two_things_have_one_name(name):
    pipeline = pipelines[name]
    nodes = Counter(node.name.rpartition("partition_")[2] for node in pipeline.nodes)
    short = Counter(own.split(".")[-1] for own in {n.partition(".")[2] or n for n in nodes})
    boxes = {part for node in pipeline.nodes for part in (node.namespace or "").split(".") if part}
    taken = {entry.split(".")[-1] for entry in entries(pipeline)}
    assert {own for own, count in short.items() if count > 1} == set()
    assert boxes & taken == set()
    assert short.keys() & (taken | boxes) == set()


def test_drafts_are_seen_before_anything_is_trained():
    nodes = pipelines["augment"].nodes
    order = [node.name for node in nodes]
    trained = [node.name for node in nodes if "training" in node.tags]
    assert trained
    assert order.index("draw_first_look") < min(map(order.index, [*trained, "fit_certificate"]))


def test_a_report_of_other_images_is_refused_before_anything_is_measured():
    order = [node.name for node in pipelines["quality"].nodes]
    assert order.index("check_report") < order.index("quality.measure_images")


def test_tags_are_slices_that_the_docs_name():
    page = (REPOSITORY / "docs" / "kedro_viz.md").read_text(encoding="utf-8")
    tags = {tag for pipeline in pipelines.values() for node in pipeline.nodes for tag in node.tags}
    assert tags == set(SLICES)
    assert {tag for tag in SLICES if f"--tags={tag}" not in page} == set()


@pytest.mark.parametrize("tag", SLICES)
def test_a_slice_reads_what_is_kept(catalog, tag):
    """What is in memory only is made again by `MemoryRefill`, where a node of the default does."""
    default = pipelines["__default__"]
    cut = default.filter(tags=[tag])
    kept = {n for n in entries(default) if type(catalog.get(n)).__name__ != "MemoryDataset"}
    free = {name for name in cut.inputs() if not name.startswith("params:")}
    assert cut.nodes
    assert free <= kept | default.all_outputs()


@pytest.mark.parametrize("name", NAMES)
def test_every_command_that_is_offered_runs_or_says_what_to_add(name):
    """Kedro-Viz offers `--to-nodes` and `--to-outputs` without a pipeline."""
    pipeline, default = pipelines[name], pipelines["__default__"]
    offered = [{"to_nodes": [node.name]} for node in pipeline.nodes]
    offered += [{"to_outputs": [entry]} for entry in pipeline.all_outputs()]
    for options in offered:
        try:
            assert default.filter(**options).nodes
        except ValueError as error:
            told = str(what_was_mistyped(error))
            other = told.partition("add --pipeline=")[2]
            assert pipelines[other].filter(**options).nodes, told


@pytest.mark.parametrize("name", NAMES)
def test_every_pipeline_begins_at_any_of_its_nodes(name):
    for node in pipelines[name].nodes:
        assert node in pipelines[name].filter(from_nodes=[node.name]).nodes
