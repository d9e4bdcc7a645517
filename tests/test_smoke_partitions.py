"""The three partitions through real sessions in env smoke, and how a stopped run goes on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sessions import make_project, open_catalog, run, runs_of

SMALL: dict[str, Any] = {
    "ingest": {"categories": ["flange"], "max_base": 2},
    "masks": {"count": 3},
    "synthesis": {"count": 3},
    "arms": {"names": ["base", "defectsynth"]},
    "protocol": {"seeds": [0]},
}
TABLES = ("table_viii", "table_ix", "table_x", "paper_tables")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path) -> Path:
    """A project in which `partitions` has run once."""
    project = make_project(tmp_path_factory.mktemp("partitions") / "project", mlflow_template)
    run(project, "partitions", **SMALL)
    return project


@pytest.fixture(scope="module")
def catalog(finished: Path) -> Any:
    return open_catalog(finished)


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "project")
    return tmp_path / "project"


def versions(project: Path) -> dict[str, int]:
    """Entry below its partition's folder to the number of its versions."""
    found: dict[str, int] = {}
    for path in (project / "data").glob("0[2-8]*/partition_*/*/*T*Z"):
        name = f"{path.parents[1].name}.{path.parent.stem}"
        found[name] = found.get(name, 0) + 1
    return found


def test_every_partition_has_all_entries_and_one_run_made_them(finished: Path) -> None:
    found = versions(finished)
    entries = [{n[12:] for n in found if n.startswith(f"partition_{k}.")} for k in range(3)]
    assert entries[0] == entries[1] == entries[2]
    assert {"samples", "synthetic_images", "verdict_page"} <= entries[0]
    assert set(found.values()) == {1}
    (tracked,) = runs_of_partitions(finished)
    assert tracked.info.status == "FINISHED"
    assert not list((finished / "data").rglob(".partial*"))


def runs_of_partitions(project: Path) -> list[Any]:
    return [r for r in runs_of(project) if r.data.tags.get("pipeline") == "partitions"]


def test_the_partitions_are_disjoint_thirds(catalog: Any) -> None:
    samples = [catalog.load(f"partition_{number}.samples") for number in range(3)]
    assert [set(table["partition"]) for table in samples] == [{0}, {1}, {2}]
    bases = [set(t.loc[t["split"] == "base", "sample_id"]) for t in samples]
    assert all(bases)
    assert sum(map(len, bases)) == len(set.union(*bases))


def test_the_tables_are_over_all_of_them(catalog: Any, finished: Path) -> None:
    viii = catalog.load("table_viii").set_index("category")
    assert viii.loc["flange", "partitions"] == "0+1+2"
    reports = [catalog.load(f"partition_{k}.classification_report") for k in range(3)]
    rows = [r[(r["arm"] == "base") & (r["metric"] == "accuracy")] for r in reports]
    rows = [r[r["role"] == "paper"] for r in rows]  # the paper's tables are of its detectors
    values = [r.loc[r["against"] == "", "value"].iloc[0] for r in rows]
    assert viii.loc["flange", "base.accuracy"] == pytest.approx(100 * sum(values) / 3, abs=0.01)
    assert catalog.load("table_ix").loc[0, "partitions"] == "0+1+2"
    assert set(catalog.load("table_x")["partitions"]) == {"0+1+2"}
    assert list((finished / "data" / "08_reporting").glob("paper_tables.png/*/paper_tables.png"))


def test_a_stopped_run_goes_on_where_it_stopped(project: Path) -> None:
    for folder in (project / "data").glob("0[78]*/partition_2"):
        shutil.rmtree(folder)
    before = versions(project)
    run(project, "partitions", only_missing_outputs=True, **SMALL)
    after = versions(project)
    again = {name for name in after if after[name] != before.get(name, 0)}
    assert {"partition_2.synthetic_images", "partition_2.verdict"} <= again
    assert all(name.startswith("partition_2.") for name in again)
    assert "partition_2.samples" not in again


def test_tables_alone_are_of_the_partitions_there_are(project: Path) -> None:
    for folder in (project / "data" / "08_reporting").glob("partition_1"):
        shutil.rmtree(folder)
    viii = run(project, "tables", **SMALL).load("table_viii").set_index("category")
    assert viii.loc["flange", "partitions"] == "0+2"
    assert "partition 1 not run" in viii.loc["flange", "note"]


@pytest.mark.parametrize(
    ("node", "remade"),
    [
        ("partition_1.synthesis.render_images", "partition_1.generator"),
        ("partition_1.classification.plan_classification", "partition_1.bank"),
    ],
)
def test_a_run_may_begin_behind_what_memory_held(
    project: Path, node: str, remade: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before = versions(project)
    run(project, "partitions", node_names=[node], **SMALL)
    assert f"making {remade} again, which is kept in memory only" in caplog.messages
    assert sum(versions(project).values()) == sum(before.values()) + 1
