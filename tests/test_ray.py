"""Ray as the engine: a real cluster of two nodes on this machine, one of them killed half-way."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import ExecutionOptions
from defectsynth_pipeline.rendering import ImageSetJob, Rendered, render_set
from defectsynth_pipeline.shards import spread_over
from defectsynth_pipeline.workers import crew
from refusals import refused
from test_shards import KEY, contents, plan_of, render, rendered

ray = pytest.importorskip("ray")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one core each, connected to."""
    from ray.cluster_utils import Cluster

    here = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1] / "src")])
    monkeypatch.setenv("PYTHONPATH", here)  # the nodes' workers import this module
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    memory = {"object_store_memory": 100 << 20}
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **memory})
    found.second = found.add_node(num_cpus=1, **memory)
    found.wait_for_nodes()
    ray.init(address=found.address, include_dashboard=False)
    yield found
    ray.shutdown()
    found.shutdown()


def slowly(rows: pd.DataFrame, *, folder: Path) -> Iterator[Rendered]:
    """Pictures as `render` makes them; says which node makes them, and takes its time."""
    node = ray.get_runtime_context().get_node_id()
    for item in render(rows):
        (folder / f"{item.image_id}.{node}").touch()
        time.sleep(0.3)
        yield item


def test_a_node_killed_half_way_loses_its_unfinished_images_alone(
    cluster: Any, tmp_path: Path
) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    plan = plan_of(16, 2)
    whole = rendered(ImageSetJob(KEY, plan, render), tmp_path / "whole", workers=1)
    killed: list[str] = []

    def on_two(job: ImageSetJob, rows: pd.DataFrame, work: Path) -> None:
        import threading

        def kill() -> None:
            begun: set[str] = set()
            while len(begun) < 2:  # both have begun
                begun = {path.suffix for path in nodes.iterdir()}
                time.sleep(0.05)
            killed.append(cluster.second.node_id)
            cluster.remove_node(cluster.second, allow_graceful=False)

        threading.Thread(target=kill, daemon=True).start()
        spread = spread_over(ExecutionOptions(engine="ray", workers=2))
        spread(job, rows, work)

    job = ImageSetJob(KEY, plan, partial(slowly, folder=nodes))
    finished = render_set(job, tmp_path / "work", on_two)
    assert contents(finished.folder) == whole
    assert killed
    made = pd.Series([path.stem for path in nodes.iterdir()]).value_counts()
    assert set(made.index) == set(plan["image_id"])
    assert (made > 1).sum() <= 4  # what the lost node had in hand


def where(item: int) -> tuple[int, str]:
    """A number, and which node saw it."""
    time.sleep(0.3)
    return item * item, ray.get_runtime_context().get_node_id()


def test_a_crew_is_the_nodes_of_the_cluster(cluster: Any) -> None:
    with crew(ExecutionOptions(engine="ray", workers=2)) as each:
        found = list(each(where, range(8)))
    assert [value for value, _ in found] == [item * item for item in range(8)]
    assert len({node for _, node in found}) == 2


def fails(item: int) -> int:
    raise InputError("no such part", value=item, remedy="name another")


def test_an_error_on_a_node_is_the_runs(cluster: Any) -> None:
    with (
        refused("no such part", "3", remedy="name another"),
        crew(ExecutionOptions(engine="ray", workers=2)) as each,
    ):
        list(each(fails, [3]))
