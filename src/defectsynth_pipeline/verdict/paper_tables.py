"""Our reports in the layouts of the paper's Tables VIII, IX and X, beside the paper's numbers.

All numbers are percent. The paper's stand in columns `paper.<method>...`; they were measured on
its own data with its own backbone, so they say what was claimed, not what a run here should reach.
Ours are of the paper's detectors where they were trained, else of the main one.
An average is only given to an arm that has every number that enters it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.results import LEGACY, PAPER
from defectsynth_pipeline.verdict.comparison import ALL, NORMALS_ONLY

ASSET = Path(__file__).parents[1] / "assets" / "paper_tables.csv"
PARTITIONS = 3  # Sec. V-A2: three partitions of base and test set, results averaged
METHODS = ("base", "dfmgan", "anomalydiffusion", "defect-gen", "defectdiffu", "seas", "defectsynth")
CORPORA = ("mvtec", "gdxray", "deepcrack")
CONTROL, OURS = "base", "defectsynth"
CLASSIFICATION = ("accuracy", "macro_f1")
LOCALIZATION = ("image_auroc", "image_ap", "image_f1", "pixel_auroc", "pixel_ap", "pixel_f1")
METRICS = {"classification": CLASSIFICATION, "localization": LOCALIZATION}
_PLACE, _CELL = ["corpus", "category"], ["arm", "metric"]


def make_paper_tables(
    *reports: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Average reports of any task and partition and lay them out as Tables VIII, IX and X.

    Returns:
        Table VIII (a row per category, a column per arm and metric), Table IX (a row per arm, a
        column per corpus and metric) and Table X (a row per corpus and metric, without and with
        DefectSynth). `partitions` says which entered, `note` what is missing.

    Raises:
        InputError: No report has a row, or those of a category were made with other settings.
    """
    rows, paper = numbers_of(reports), dict(iter(paper_numbers().groupby("table")))
    if rows.empty:
        remedy = "run kedro run --pipeline=partitions first"
        raise InputError("there is no report to make tables of", remedy=remedy)
    own = {task: rows[rows["metric"].isin(metrics)] for task, metrics in METRICS.items()}
    pairs = {task: _table_x(own[task], paper["X"], METRICS[task]) for task in own}
    x = pd.concat(pairs, names=["task"]).reset_index()
    viii, ix = (own[task] for task in ("classification", "localization"))
    return _table_viii(viii, paper["VIII"]), _table_ix(ix, paper["IX"]), x


def numbers_of(reports: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """What enters a table: numbers of whole categories and single arms, in percent.

    Of each report and category only one role's rows: the paper's detectors, or the main one where
    they were not trained. `normals_only`, which trains no detector, is left out.
    Reports that do not differ count once: with `lowest_third` all are of partition 0. Arms judged
    by the field's habit have " (best test checkpoint)" in their name.

    Raises:
        InputError: Another partition of a category was run with another detector, other seeds,
            weights, model selection or protocol, or with a tenth more steps or images.
    """
    rows = pd.concat([report for report in reports if len(report)] or reports[:1])
    rows = rows[(rows["defect_type"] == ALL) & (rows["against"] == "")]
    rows = rows[rows["metric"].isin([*CLASSIFICATION, *LOCALIZATION])]
    rows = rows[rows["arm"] != NORMALS_ONLY]
    paper = rows["role"] == PAPER
    rows = rows[
        paper
        == paper.groupby([rows[name] for name in ("task", *_PLACE, "partition")]).transform("max")
    ]
    honest = rows["selected"] != LEGACY
    for place, own in rows[honest].groupby(["task", *_PLACE], sort=False):
        sizes = own.groupby("partition")[["steps", "set_size"]].max()  # a partition may move these
        settings = own[["detector", "split_protocol", "selected", "seeds", "weights"]].nunique()
        names = [*sizes.columns[sizes.max() > 1.1 * sizes.min()], *settings.index[settings > 1]]
        if names:
            found = [f"{name} {' and '.join(map(str, own[name].unique()))}" for name in names]
            raise InputError(
                "the partitions were not run with the same settings",
                value=f"{'/'.join(map(str, place))}: {', '.join(found)}",
                remedy="run kedro run --pipeline=partitions again",
            )
    return rows.assign(
        arm=rows["arm"].where(honest, rows["arm"] + " (best test checkpoint)"),
        partition=rows["partition"].where(rows["split_protocol"] == "random_third", 0),
        value=rows["value"] * 100,
    ).drop_duplicates([*_PLACE, *_CELL, "partition"])


def paper_numbers() -> pd.DataFrame:
    """The paper's Tables VIII, IX and X, percent: table, corpus, category, metric, arm, value.

    `arm` is one of `METHODS`; `base` is its "w/o Augmentation", to which Table VIII gives
    Crop-Paste's reference. NaN where it prints a dash or nothing.
    """
    printed = pd.read_csv(ASSET, dtype={"category": str}).fillna({"category": ""})
    return printed.melt(["table", *_PLACE, "metric"], var_name="arm")


def method_of(arm: str) -> str:
    """The paper's method that an arm stands for, "" if there is none; `external:` by its name."""
    name = plain(arm.removeprefix("external:"))
    return next((method for method in METHODS if plain(method) == name), "")


def paper_corpus(corpus: str) -> str:
    """The paper's data set that a corpus folder is named after, "" if none."""
    return next((known for known in CORPORA if known in plain(corpus)), "")


def _table_viii(rows: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Classification: categories are rows, arms are columns, then the averages."""
    means, arms = _means(rows), rows["arm"].unique()
    entered = _entered(rows, CLASSIFICATION, arms)
    paper = paper.assign(arm="paper." + paper["arm"], category=paper["category"].map(plain))
    paper = paper.pivot(index="category", columns=_CELL, values="value")
    places = pd.MultiIndex.from_frame(entered[_PLACE])
    known = [plain(name) if paper_corpus(corpus) == "mvtec" else "" for corpus, name in places]
    beside = paper.reindex(known).set_axis(places)
    remarks = np.where(np.isin(known, paper.index), "a dash in the paper", "not in the paper")
    remarks = np.where(beside.isna().any(axis=1), remarks, "")
    average = _average(means)
    ends = pd.MultiIndex.from_tuples([("", "average"), ("", "paper average")], names=_PLACE)
    below = pd.DataFrame([average, paper.loc["average"]], index=ends)
    cells = pd.concat([means.join(beside), below]).reindex(places.append(ends))
    table = _layout(cells, {arm: method_of(arm) for arm in arms}, METHODS, CLASSIFICATION)
    table.insert(
        2, "partitions", [*entered["partitions"], _text(entered["partitions"], " or "), ""]
    )
    without = [f"{arm} not in every category" for arm in arms if average[arm].isna().all()]
    notes = [
        *(entered["note"] + "; " + remarks).str.strip("; "),
        "; ".join([_judged(entered), *without]),
    ]
    return table.assign(note=[*notes, "as printed, over its 14 categories"])


def _table_ix(rows: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Localization: arms are rows; columns are corpora times image- and pixel-level metrics."""
    means, arms = _means(rows), list(rows["arm"].unique())
    entered = _entered(rows, LOCALIZATION, arms)
    corpora = {corpus: paper_corpus(corpus) for corpus in rows["corpus"].unique()}
    row_of = {method: method for method in METHODS} | {method_of(arm): arm for arm in arms}
    paper = paper.assign(arm=paper["arm"].map(row_of), corpus="paper." + paper["corpus"])
    cells = [paper.pivot(index="arm", columns=["corpus", "metric"], values="value")]
    notes = [f"{known} not run" for known in CORPORA if known not in corpora.values()]
    for corpus, known in corpora.items():
        average = _average(means.loc[[corpus]]).unstack("metric")
        cells.append(pd.concat({corpus: average}, axis=1))
        remark = "the paper's is over its whole set" if known else "not in the paper"
        notes.append(f"{corpus} ({remark}): {_judged(entered[entered['corpus'] == corpus])}")
    every = pd.Index(dict.fromkeys([*arms, *row_of.values()]), name="arm")
    table = _layout(pd.concat(cells, axis=1).reindex(every), corpora, CORPORA, LOCALIZATION)
    own = table["arm"].isin(arms)
    table.insert(1, "partitions", np.where(own, _text(entered["partitions"], " or "), ""))
    return table.assign(note=np.where(own, "; ".join(notes), "the paper's only; not run here"))


def _table_x(rows: pd.DataFrame, paper: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """One task without and with DefectSynth, per corpus; the paper's own are of its tire images.

    `difference_lowest` and `difference_highest` are over single categories and partitions.
    """
    line, pair = ["corpus", "metric"], [CONTROL, OURS]
    pairs = rows.pivot(index=[*line, "category", "partition"], columns="arm", values="value")
    pairs = pairs.reindex(columns=pair).rename_axis(columns=None).dropna()
    pairs = pairs.assign(difference=pairs[OURS] - pairs[CONTROL]).reset_index("partition")
    categories = pairs.groupby([*line, "category"])
    runs = categories["partition"].agg(_text, "+").groupby(line)
    table = categories[[*pair, "difference"]].mean().groupby(line).mean()
    table.insert(0, "partitions", runs.agg(_text, " or "))
    table.insert(1, "categories", runs.size())
    gains = pairs.groupby(line)["difference"]
    table = table.assign(difference_lowest=gains.min(), difference_highest=gains.max())
    corpora = list(rows["corpus"].unique()) or [""]
    table = table.reindex(pd.MultiIndex.from_product([corpora, metrics], names=line))
    table = table.fillna({"partitions": "", "categories": 0}).astype({"categories": int})
    tires = paper.pivot(index="metric", columns="arm", values="value")[pair]
    tires["difference"] = tires[OURS] - tires[CONTROL]
    table = table.join(tires.add_prefix("paper."), on="metric").round(2)
    own = {corpus: rows[rows["corpus"] == corpus] for corpus in corpora}
    return table.assign(note=[_judged(_entered(own[c], [m], pair)) for c, m in table.index])


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over partitions: a row per category, a column per arm and metric."""
    return rows.groupby([*_PLACE, *_CELL], sort=False)["value"].mean().unstack(_CELL)


def _average(means: pd.DataFrame) -> pd.Series:
    """Mean over categories by arm and metric, NaN for arms that lack one.

    A category in which a metric is defined for no arm is no category of that metric.
    """
    wanted = means.notna().T.groupby("metric").any().sum(axis=1)
    return means.mean().where(means.count() == means.columns.get_level_values(1).map(wanted))


def _layout(
    cells: pd.DataFrame, ours: Mapping[str, str], known: Iterable[str], metrics: Sequence[str]
) -> pd.DataFrame:
    """Columns `<head>.<metric>`: each of ours, its namesake in the paper, the paper's others."""
    heads = [head for pair in ours.items() for head in (pair[0], f"paper.{pair[1]}")]
    heads += [f"paper.{name}" for name in known]
    wanted = pd.MultiIndex.from_product([dict.fromkeys(h for h in heads if h != "paper."), metrics])
    cells = cells.reindex(columns=wanted).round(2)
    return cells.set_axis(wanted.map(".".join), axis=1).reset_index()


def _entered(rows: pd.DataFrame, metrics: Sequence[str], arms: Iterable[str]) -> pd.DataFrame:
    """Per category: `partitions` that were run, `note` what lacks: a partition, arms' numbers."""
    lines = []
    for place, own in rows.groupby(_PLACE, sort=False):
        run, counts = set(own["partition"]), own.groupby(_CELL)["value"].count()
        wanted = PARTITIONS if (own["split_protocol"] == "random_third").all() else 1
        notes = [f"partition {number} not run" for number in range(wanted) if number not in run]
        for metric in metrics:
            lacking = [arm for arm in arms if counts.get((arm, metric), 0) < len(run)]
            notes += [f"{metric} not in every partition: {', '.join(lacking)}"] if lacking else []
        lines.append((*place, _text(run, "+"), "; ".join(notes)))
    return pd.DataFrame(lines, columns=[*_PLACE, "partitions", "note"], dtype=str)


def _judged(entered: pd.DataFrame) -> str:
    """The categories that were judged, and what each lacks."""
    gaps = entered[entered["note"] != ""]
    names = ", ".join(entered["category"])
    judged = f"judged: {names}" if names else "no report of this task"
    return "; ".join([judged, *gaps["category"] + ": " + gaps["note"]])


def plain(name: str) -> str:
    """A name without what a folder may write otherwise: "Metal Nut" and `metal_nut` are one."""
    return name.lower().translate(str.maketrans("", "", " -_"))


def _text(parts: Iterable[object], between: str) -> str:
    """Partitions "0+1+2" of a category, and over categories "0 or 0+1+2" where they differ."""
    return between.join(sorted(set(map(str, parts))))
