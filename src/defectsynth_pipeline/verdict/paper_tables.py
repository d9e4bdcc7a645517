"""Our reports in the layouts of the paper's Tables VIII, IX and X, beside the paper's numbers.

All numbers are percent. The paper's stand in columns `paper.<method>...`; they were measured on
its own data with its own backbone, so they say what was claimed, not what a run here should reach.
An average is only given to an arm that has every number that enters it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.verdict.comparison import ALL

ASSET = Path(__file__).parents[1] / "assets" / "paper_tables.csv"
PARTITIONS = 3  # Sec. V-A2: three partitions of base and test set, results averaged
METHODS = ("base", "dfmgan", "anomalydiffusion", "defect-gen", "defectdiffu", "seas", "defectsynth")
CORPORA = ("mvtec", "gdxray", "deepcrack")
CONTROL, OURS = "base", "defectsynth"
CLASSIFICATION = ("accuracy", "macro_f1")
LOCALIZATION = ("image_auroc", "image_ap", "image_f1", "pixel_auroc", "pixel_ap", "pixel_f1")
_PLACE, _CELL = ["corpus", "category"], ["arm", "metric"]


def make_paper_tables(
    classification: Sequence[pd.DataFrame], localization: Sequence[pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Average the reports over partitions and lay them out as Tables VIII, IX and X.

    Args:
        classification: A `classification_report` per partition; any may be empty.
        localization: A `localization_report` per partition.

    Returns:
        Table VIII (a row per category, a column per arm and metric), Table IX (a row per arm, a
        column per corpus and metric) and Table X (a row per corpus and metric, without and with
        DefectSynth). `partitions` says which entered, `note` what is missing.

    Raises:
        InputError: There is no report, or those of a category were made with other settings.
    """
    of_types, of_places = numbers_of(classification), numbers_of(localization)
    if of_types.empty and of_places.empty:
        raise InputError(
            "there is no report to make tables of",
            remedy="run kedro run --pipeline=partitions first",
        )
    paper = paper_numbers()
    tables = {name: paper[paper["table"] == name] for name in ("VIII", "IX", "X")}
    return (
        _table_viii(of_types, tables["VIII"]),
        _table_ix(of_places, tables["IX"]),
        _table_x(of_types, of_places, tables["X"]),
    )


def numbers_of(reports: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """What enters a table: numbers of whole categories and single arms, in percent.

    Reports that do not differ count once: with `lowest_third` all are of partition 0. Arms judged
    by the field's habit have " (best test checkpoint)" in their name.

    Raises:
        InputError: Another partition of a category was run with other seeds, weights, model
            selection or protocol, or with a tenth more steps or images.
    """
    rows = pd.concat([report for report in reports if len(report)] or reports[:1])
    rows = rows[(rows["defect_type"] == ALL) & (rows["against"] == "")]
    rows = rows[rows["metric"].isin([*CLASSIFICATION, *LOCALIZATION])]
    honest = rows["selected"] != LEGACY
    for place, own in rows[honest].groupby(_PLACE, sort=False):
        _check_settings("/".join(map(str, place)), own)
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
    name = _snake(arm.removeprefix("external:")).replace("_", "")
    return next((method for method in METHODS if method.replace("-", "") == name), "")


def paper_corpus(corpus: str) -> str:
    """The paper's data set that a corpus folder is named after, "" if none."""
    return next((known for known in CORPORA if known in _snake(corpus).replace("_", "")), "")


def _check_settings(place: str, rows: pd.DataFrame) -> None:
    sizes = rows.groupby("partition")[["steps", "set_size"]].max()  # a partition may move these
    unequal = [name for name in sizes if sizes[name].max() > 1.1 * sizes[name].min()]
    equal = ("split_protocol", "selected", "seeds", "weights")
    unequal += [name for name in equal if rows[name].nunique() > 1]
    if unequal:
        found = [f"{name} {' and '.join(map(str, rows[name].unique()))}" for name in unequal]
        raise InputError(
            "the partitions were not run with the same settings",
            value=f"{place}: {', '.join(found)}",
            remedy="run kedro run --pipeline=partitions again",
        )


def _table_viii(rows: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Classification: categories are rows, arms are columns, then the averages."""
    average, paper = _average(rows), paper.assign(arm="paper." + paper["arm"])
    printed = {str(name): own for name, own in paper.groupby("category")}
    cells = [_means(rows), average.assign(corpus="", category="average")]
    cells.append(printed["average"].assign(corpus="", category="paper average"))
    places: dict[tuple[str, str], str] = {}
    notes = []
    for (corpus, category), own in rows.groupby(_PLACE, sort=False):
        known = printed.get(_snake(category)) if paper_corpus(corpus) == "mvtec" else None
        absent = "not in the paper"
        if known is not None:
            cells.append(known.assign(corpus=corpus, category=category))
            dash = known.loc[known["arm"] == f"paper.{CONTROL}", "value"].isna().any()
            absent = "a dash in the paper" if dash else ""
        places[corpus, category] = _plus(own["partition"])
        notes.append(_join([_gaps(own, CLASSIFICATION), absent]))
    arms = list(rows["arm"].unique())
    pairs = [head for arm in arms for head in (arm, f"paper.{method_of(arm)}") if head != "paper."]
    heads = pairs + [f"paper.{method}" for method in _others(arms)]
    ends = [("", "average"), ("", "paper average")]
    table = _layout(pd.concat(cells), _PLACE, "arm", [*places, *ends], heads, CLASSIFICATION)
    table.insert(2, "partitions", [*places.values(), _either(places.values()), ""])
    without = [arm for arm in arms if arm not in set(average["arm"])]
    over = f"over {', '.join(name for _, name in places)}" if places else "no classification report"
    notes.append(_join([over, f"not in every category: {', '.join(without)}" if without else ""]))
    return table.assign(note=[*notes, "as printed, over its 14 categories"])


def _table_ix(rows: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Localization: arms are rows; columns are corpora times image- and pixel-level metrics."""
    arms, corpora = list(rows["arm"].unique()), list(rows["corpus"].unique())
    absent = [name for name in CORPORA if name not in map(paper_corpus, corpora)]
    row_of = {method_of(arm): arm for arm in arms}
    cells = [_average(own).assign(corpus=corpus) for corpus, own in rows.groupby("corpus")]
    names = [row_of.get(method, method) for method in paper["arm"]]
    cells.append(paper.assign(arm=names, corpus="paper." + paper["corpus"]))
    pairs = [head for c in corpora for head in (c, f"paper.{paper_corpus(c)}") if head != "paper."]
    heads = list(dict.fromkeys([*pairs, *(f"paper.{corpus}" for corpus in absent)]))
    every = [*arms, *_others(arms)]
    table = _layout(pd.concat(cells), ["arm"], "corpus", every, heads, LOCALIZATION)
    entered = _either(_plus(own["partition"]) for _, own in rows.groupby(_PLACE))
    notes = [_corpus_note(corpus, rows[rows["corpus"] == corpus]) for corpus in corpora]
    note = _join([*notes, *(f"{corpus} not run" for corpus in absent)])
    own = table["arm"].isin(arms)
    table.insert(1, "partitions", own.map({True: entered, False: ""}))
    return table.assign(note=own.map({True: note, False: "the paper's only; not run here"}))


def _table_x(of_types: pd.DataFrame, of_places: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Without and with DefectSynth, per corpus; the paper's own are of its tire images.

    `difference_lowest` and `difference_highest` are over single categories and partitions.
    """
    tire = paper.pivot(index="metric", columns="arm", values="value")
    tasks = {
        "classification": (of_types, CLASSIFICATION),
        "localization": (of_places, LOCALIZATION),
    }
    lines = []
    for task, (rows, metrics) in tasks.items():
        for corpus, metric in product(rows["corpus"].unique() if len(rows) else [""], metrics):
            base, ours = tire.loc[metric, CONTROL], tire.loc[metric, OURS]
            found = _difference(rows[rows["corpus"] == corpus], metric, metrics)
            found |= {f"paper.{CONTROL}": base, f"paper.{OURS}": ours}
            found |= {"paper.difference": ours - base, "note": found.pop("note")}
            lines.append({"task": task, "corpus": corpus, "metric": metric} | found)
    return pd.DataFrame(lines).round(2)


def _difference(rows: pd.DataFrame, metric: str, metrics: Sequence[str]) -> dict[str, object]:
    pairs = rows[rows["metric"] == metric].pivot(
        index=["category", "partition"], columns="arm", values="value"
    )
    pairs = pairs.reindex(columns=[CONTROL, OURS]).dropna()
    gains = pairs[OURS] - pairs[CONTROL]
    means = pairs.assign(gain=gains).groupby("category").mean().mean()
    partitions = pairs.reset_index().groupby("category", sort=False)["partition"].agg(_plus)
    notes = [] if len(rows) else ["this task: no report"]
    for category, own in rows.groupby("category", sort=False):
        gaps = _gaps(own, metrics)
        if category not in partitions:
            notes.append(f"{category}: no partition has both {CONTROL} and {OURS}")
        elif gaps:
            notes.append(f"{category}: {gaps}")
    return {
        "partitions": _either(partitions),
        "categories": len(partitions),
        CONTROL: means[CONTROL],
        OURS: means[OURS],
        "difference": means["gain"],
        "difference_lowest": gains.min(),
        "difference_highest": gains.max(),
        "note": _join(notes),
    }


def _layout(
    cells: pd.DataFrame,
    names: list[str],
    head: str,
    rows: Sequence[object],
    heads: Sequence[str],
    metrics: Sequence[str],
) -> pd.DataFrame:
    """A long table's values in the wanted rows and columns `<head>.<metric>`."""
    wide = cells.pivot(index=names, columns=[head, "metric"], values="value").reindex(rows)
    wide = wide.reindex(columns=pd.MultiIndex.from_product([heads, metrics]))
    wide.columns = wide.columns.map(".".join)
    return wide.round(2).rename_axis(names).reset_index()


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over partitions, undefined ones left out: corpus, category, arm, metric, value."""
    means = rows.groupby([*_PLACE, *_CELL], sort=False)["value"].mean()
    return means.dropna().reset_index()


def _average(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over categories by arm and metric, of arms that have every category.

    A category in which a metric is defined for no arm is no category of that metric.
    """
    means = _means(rows)
    places = means.drop_duplicates([*_PLACE, "metric"]).groupby("metric").size()
    found = means.groupby(_CELL, sort=False)["value"].agg(value="mean", count="count").reset_index()
    return found[found["count"] == found["metric"].map(places)]


def _gaps(rows: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Of one category: partitions that were not run, numbers that not all have that were."""
    run = set(rows["partition"])
    wanted = PARTITIONS if (rows["split_protocol"] == "random_third").all() else 1
    notes = [f"partition {number} not run" for number in range(wanted) if number not in run]
    counts = rows.groupby(_CELL)["value"].count()
    for metric in metrics:
        arms = [arm for arm in rows["arm"].unique() if counts.get((arm, metric), 0) < len(run)]
        notes += [f"{metric} not in every partition: {', '.join(arms)}"] if arms else []
    return _join(notes)


def _corpus_note(corpus: str, rows: pd.DataFrame) -> str:
    found = {str(n): _gaps(own, LOCALIZATION) for n, own in rows.groupby("category", sort=False)}
    paper = "the paper's is over its whole set" if paper_corpus(corpus) else "not in the paper"
    gaps = [f"{name}: {note}" for name, note in found.items() if note]
    return f"{corpus}: over {', '.join(found)} ({_join([paper, *gaps])})"


def _others(arms: Iterable[str]) -> list[str]:
    """The paper's methods that no arm stands for."""
    shown = {method_of(arm) for arm in arms}
    return [method for method in METHODS if method not in shown]


def _snake(name: str) -> str:
    """A folder's name as the paper's table has it: "Metal Nut" is `metal_nut`."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def _plus(partitions: Iterable[int]) -> str:
    return "+".join(map(str, sorted(set(partitions))))


def _either(partitions: Iterable[str]) -> str:
    """Partitions over categories: "0+1+2", or "0 or 0+1+2" where they differ."""
    return " or ".join(sorted(set(partitions)))


def _join(notes: Iterable[str]) -> str:
    """One text of several notes, each said once."""
    return "; ".join(dict.fromkeys(note for note in notes if note))
