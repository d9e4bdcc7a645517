"""`ablation` through a real session in env smoke: every table, and nothing of `augment` touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessions import make_project, open_catalog, run, versions

TABLES = {"ablation_table", "ablation_report", "cost_table", "shots_curve"}
FIGURES = {"ablation_figure", "ablation_preview", "cost_figure", "shots_figure"}
SMALL: dict[str, Any] = {
    "ingest": {"categories": ["flange"], "max_base": 3},
    "ablation": {
        "rows": ["all", "without_hmi", "masks_hybrid"],
        "shots": ["all"],
        "downstream": True,
    },
    "protocol": {"seeds": [0]},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path) -> Path:
    project = make_project(tmp_path_factory.mktemp("ablation") / "project", mlflow_template)
    run(project, "ablation", **SMALL)
    return project


@pytest.fixture(scope="module")
def catalog(finished: Path) -> Any:
    return open_catalog(finished)


def test_one_run_writes_every_table_and_figure_and_nothing_of_augment(finished: Path) -> None:
    found = versions(finished)
    assert set(found) == TABLES | FIGURES | {"ablation_samples"}
    assert {len(every) for every in found.values()} == {1}
    assert not list((finished / "data").rglob(".partial*"))


def test_every_row_is_in_the_table_once_per_type_and_region(catalog: Any) -> None:
    table = catalog.load("ablation_table")
    assert list(dict.fromkeys(table["row"])) == SMALL["ablation"]["rows"]
    assert set(table["defect_type"]) == {"dent", "pinhole", "scratch", "all"}
    assert not table.duplicated(["row", "region", "defect_type"]).any()
    twins = table[table["same_as"] == "all"]
    assert set(twins["row"]) == {"masks_hybrid"}
    assert (twins["kid_difference"] == 0).all()
    assert table.loc[table["row"] == "all", "kid_difference"].isna().all()
    assert table["accepted"].between(0, 1).all()
    assert table["paper.kid"].isna().all()
    detectors = table[(table["defect_type"] == "all") & (table["row"] != "all")]
    assert detectors[["macro_f1_difference", "pixel_ap_difference"]].notna().all(axis=None)
    assert set(catalog.load("ablation_report")["against"]) == {"", "base", "all"}


def test_cost_is_told_beside_the_papers(catalog: Any) -> None:
    table = catalog.load("cost_table").set_index("row")
    assert {"all", "without_hmi", "seas"} <= set(table.index)
    ours = table[table["device"] != ""]
    numbers = ["parameters", "trained", "finetune_seconds", "seconds_per_image", "memory_mib"]
    assert (ours[numbers] > 0).all(axis=None)
    assert table.loc["all", "ratio.seconds_per_image"] == 1


def test_the_curve_has_both_gains(catalog: Any) -> None:
    curve = catalog.load("shots_curve")
    gains = curve[(curve["measure"] == "mean_pixel_ap") & (curve["arm"] == "defectsynth")]
    assert sorted(zip(gains["shots"], gains["against"], strict=True)) == sorted(
        ("all", against) for against in ("", "base", "crop_paste_matched")
    )
    assert set(gains["base_images"]) == {3}
    assert {"kid", "ic_distance", "mask_iou"} <= set(curve["measure"])


def test_parts_that_are_left_out_are_empty_tables(finished: Path) -> None:
    only = SMALL | {"ablation": {"parts": ["cost"], "rows": ["all"]}}
    catalog = run(finished, "ablation", **only)
    assert catalog.load("cost_table")["row"].iloc[0] == "all"
    assert catalog.load("shots_curve").empty
    assert catalog.load("ablation_table").empty
