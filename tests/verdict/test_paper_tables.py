"""The layouts of Tables VIII, IX and X, and the paper's own numbers beside ours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures.paper import draw_paper_tables
from defectsynth_pipeline.schemas import empty_table, read_table
from defectsynth_pipeline.verdict.paper_tables import (
    METHODS,
    make_paper_tables,
    method_of,
    paper_corpus,
    paper_numbers,
)
from verdict.measured import paper_report

ARMS = ("base", "crop_paste", "defectsynth", "external:DFMGAN")
NONE = [empty_table("classification_report")]


def report(task, numbers, *, arms=ARMS, **changes):
    return paper_report(task, numbers, arms=arms, **changes)


def over_partitions(task, *numbers):
    return [report(task, n, partition=i) for i, n in enumerate(numbers)]


@pytest.fixture
def classification():
    screw, flange = ("mvtec", "screw"), ("mvtec", "flange")
    return over_partitions(
        "classification",
        {screw: 0.1, flange: 0.5},
        {screw: 0.2, flange: 0.5},
        {screw: 0.6, flange: 0.5},
    )


@pytest.fixture
def localization():
    tile, weld = ("MVTec AD", "tile"), ("gdxray", "weld")
    return over_partitions("localization", {tile: 0.4, weld: 0.2}, {tile: 0.6, weld: 0.4})


def line(table, **names):
    for column, name in names.items():
        table = table[table[column] == name]
    assert len(table) == 1
    return table.iloc[0]


def test_the_papers_averages_are_those_of_its_rows():
    paper = paper_numbers().query("table == 'VIII'")
    rows = paper[paper["category"] != "average"].groupby(["metric", "arm"])["value"].mean()
    printed = paper[paper["category"] == "average"].set_index(["metric", "arm"])["value"]
    pd.testing.assert_series_equal(rows, printed.sort_index(), atol=0.0051, rtol=0)


def test_all_of_the_papers_numbers_are_there():
    paper = paper_numbers().set_index("table")
    assert set(paper["arm"]) == set(METHODS)
    assert paper.loc["VIII"].shape[0] == 2 * 16 * len(METHODS)
    assert paper.loc["IX"].shape[0] == 3 * 6 * len(METHODS)
    missing = paper["value"].isna().groupby("table").sum()
    assert missing.to_dict() == {"VIII": 14, "IX": 0, "X": 8 * 5}
    of_x = paper.loc["X"].set_index("arm")["value"]
    gains = of_x["defectsynth"].to_numpy() - of_x["base"].to_numpy()
    printed = [21.09, 30.66, 28.84, 20.38, 9.85, 31.06, 39.66, 34.94]
    np.testing.assert_allclose(gains, printed, atol=1e-6)


def test_table_viii_has_categories_as_rows_and_arms_as_columns(classification):
    viii, _, _ = make_paper_tables(*classification, *NONE)
    assert viii["category"].tolist() == ["screw", "flange", "average", "paper average"]
    screw = line(viii, category="screw")
    assert screw["base.accuracy"] == pytest.approx(30.0)
    assert screw["defectsynth.macro_f1"] == pytest.approx(50.0)
    assert screw["partitions"] == "0+1+2"
    average = line(viii, category="average")
    assert average["base.accuracy"] == pytest.approx(40.0)
    assert average["note"] == "judged: screw, flange"


def test_the_papers_numbers_stand_beside_the_same_arm(classification):
    viii, _, _ = make_paper_tables(*classification, *NONE)
    screw = line(viii, category="screw")
    assert (screw["paper.base.accuracy"], screw["paper.defectsynth.accuracy"]) == (22.12, 58.07)
    columns = viii.columns.tolist()
    for arm, method in (("base", "base"), ("external:DFMGAN", "dfmgan")):
        assert columns.index(f"paper.{method}.accuracy") == columns.index(f"{arm}.accuracy") + 2
    assert len(columns) == len(set(columns)) == 3 + 2 * (len(ARMS) + len(METHODS)) + 1
    assert line(viii, category="paper average")["paper.defectsynth.accuracy"] == 66.70


def test_a_category_that_the_paper_lacks_is_said_and_left_empty(classification):
    viii, _, _ = make_paper_tables(*classification, *NONE)
    flange = line(viii, category="flange")
    assert flange["note"] == "not in the paper"
    assert flange.filter(like="paper.").isna().all()
    assert np.isnan(line(viii, category="average")["paper.base.accuracy"])


def test_another_corpus_is_not_set_beside_mvtec():
    viii, _, _ = make_paper_tables(report("classification", {("shop", "screw"): 0.5}))
    assert np.isnan(line(viii, category="screw")["paper.base.accuracy"])


def test_the_papers_dash_is_said():
    toothbrush = report("classification", {("mvtec", "toothbrush"): 0.5})
    viii, _, _ = make_paper_tables(toothbrush, *NONE)
    assert "a dash in the paper" in line(viii, category="toothbrush")["note"]


def test_an_arm_without_every_category_has_no_average(classification):
    tile = report("classification", {("mvtec", "tile"): 0.5}, arms=ARMS[:3])
    viii, _, _ = make_paper_tables(*classification, tile, *NONE)
    average = line(viii, category="average")
    assert np.isnan(average["external:DFMGAN.accuracy"])
    assert average["base.accuracy"] == pytest.approx(100 * (0.3 + 0.5 + 0.5) / 3, abs=0.01)
    assert "external:DFMGAN not in every category" in average["note"]
    assert line(viii, category="tile")["partitions"] == "0"
    assert average["partitions"] == "0 or 0+1+2"


def test_table_ix_has_arms_as_rows_and_corpora_as_columns(localization):
    _, ix, _ = make_paper_tables(*NONE, *localization)
    base = line(ix, arm="base")
    assert base["MVTec AD.pixel_ap"] == pytest.approx(50.0)
    assert base["gdxray.image_auroc"] == pytest.approx(30.0)
    assert base["paper.mvtec.pixel_ap"] == 58.44
    assert base["partitions"] == "0+1"
    assert "partition 2 not run" in base["note"]
    assert "deepcrack not run" in base["note"]
    columns = ix.columns.tolist()
    assert columns.index("paper.mvtec.pixel_ap") == columns.index("MVTec AD.pixel_ap") + 6
    assert line(ix, arm="external:DFMGAN")["paper.deepcrack.image_auroc"] == 100
    assert np.isnan(line(ix, arm="crop_paste")["paper.mvtec.pixel_ap"])


def test_methods_of_the_paper_that_were_not_run_follow(localization):
    _, ix, _ = make_paper_tables(*NONE, *localization)
    seas = line(ix, arm="seas")
    assert seas["paper.gdxray.pixel_f1"] == 72.49
    assert np.isnan(seas["gdxray.pixel_f1"])
    assert seas["note"] == "the paper's only; not run here"
    assert "dfmgan" not in set(ix["arm"])


def test_a_corpus_is_averaged_over_its_categories():
    both = report("localization", {("mvtec", "tile"): 0.2, ("mvtec", "screw"): 0.5})
    _, ix, _ = make_paper_tables(*NONE, both)
    assert line(ix, arm="base")["mvtec.pixel_f1"] == pytest.approx(35.0)
    assert "judged: tile, screw" in line(ix, arm="base")["note"]


def test_table_x_has_the_difference_and_its_range(classification, localization):
    localization[1].loc[localization[1]["arm"] == "defectsynth", "value"] += 0.1
    _, _, x = make_paper_tables(*classification, *localization)
    row = line(x, corpus="gdxray", metric="pixel_ap")
    assert (row["base"], row["defectsynth"], row["difference"]) == (30.0, 55.0, 25.0)
    assert (row["difference_lowest"], row["difference_highest"]) == (20.0, 30.0)
    assert (row["categories"], row["partitions"]) == (1, "0+1")
    assert row["paper.difference"] == 39.66
    assert line(x, corpus="mvtec", metric="accuracy")["difference"] == pytest.approx(20.0)


def test_table_x_pairs_partitions(classification):
    screw = [report[report["category"] == "screw"] for report in classification]
    for number in (0, 2):
        screw[number] = screw[number][screw[number]["arm"] != "defectsynth"]
    _, _, x = make_paper_tables(*screw, *NONE)
    row = line(x, corpus="mvtec", metric="accuracy")
    assert (row["base"], row["defectsynth"], row["partitions"]) == (20.0, 40.0, "1")


def test_table_x_says_when_there_is_nothing_to_compare(localization):
    without = [report[report["arm"] != "defectsynth"] for report in localization]
    _, _, x = make_paper_tables(*NONE, *without)
    row = line(x, corpus="gdxray", metric="pixel_ap")
    assert np.isnan(row["difference"])
    assert "weld: partition 2 not run; pixel_ap not in every partition: defectsynth" in row["note"]
    assert "no report" in line(x, task="classification", metric="accuracy")["note"]


def test_without_any_report_the_way_to_one_is_named():
    with pytest.raises(InputError, match="--pipeline=partitions"):
        make_paper_tables(*NONE, *NONE)


@pytest.mark.parametrize(
    ("arm", "method"),
    [
        ("external:Defect_Gen", "defect-gen"),
        ("external:AnomalyDiffusion", "anomalydiffusion"),
        ("defectsynth@50", ""),
        ("crop_paste+defectsynth", ""),
        ("defectsynth (best test checkpoint)", ""),
    ],
)
def test_arms_are_matched_by_name(arm, method):
    assert method_of(arm) == method


def test_corpora_are_matched_by_name():
    names = ["mvtec_anomaly_detection", "GDXray", "DeepCrack-main", "tires"]
    assert [paper_corpus(name) for name in names] == ["mvtec", "gdxray", "deepcrack", ""]


def test_the_figure_has_a_panel_per_table(classification, localization):
    figure = draw_paper_tables(*make_paper_tables(*classification, *localization))
    viii, ix, x = figure.axes
    assert [label.get_text() for label in viii.get_yticklabels()] == [
        "screw [0+1+2]",
        "flange [0+1+2]",
        "average [0+1+2]",
    ]
    drawn = {mark.get_label(): mark.get_xdata().tolist() for mark in ix.get_lines()}
    assert drawn["base"] == [50.0, 30.0]
    assert drawn["paper.base"] == [58.44, 71.63]
    assert len(x.get_yticklabels()) == 2 + 2 * 6
    figure.canvas.draw()


@pytest.mark.parametrize("task", ["classification", "localization"])
def test_the_figure_is_drawn_for_one_task_and_from_csv(task, tmp_path, request):
    made = make_paper_tables(*request.getfixturevalue(task), *NONE)
    loaded = []
    for name, table in zip(("viii", "ix", "x"), made, strict=True):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        loaded.append(read_table(tmp_path / f"{name}.csv", f"table_{name}"))
    figure = draw_paper_tables(*loaded)
    figure.savefig(tmp_path / "tables.png", dpi=40)
    assert len(figure.axes) == 3


def test_an_arm_looks_the_same_in_both_panels(classification, localization):
    without = [report[report["arm"] != "crop_paste"] for report in classification]
    figure = draw_paper_tables(*make_paper_tables(*without, *localization))
    looks = [
        {mark.get_label(): (mark.get_mec(), mark.get_marker()) for mark in panel.get_lines()}
        for panel in figure.axes[:2]
    ]
    assert looks[0]["external:DFMGAN"] == looks[1]["external:DFMGAN"]
    assert looks[0]["defectsynth"] == looks[1]["defectsynth"]
