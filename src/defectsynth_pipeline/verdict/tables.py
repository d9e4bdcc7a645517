"""Our reports in the layouts of the paper's Tables VIII, IX and X, beside the paper's numbers.

All numbers are percent, as in the paper. The paper's stand in columns `paper.<method>...`; they
were measured on its own data with its own backbone, so they say what was claimed, not what a run
here should reach. An average is only given to an arm that has every number that enters it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.verdict.gain import table_x
from defectsynth_pipeline.verdict.paper import (
    CLASSIFICATION,
    CONTROL,
    CORPORA,
    LOCALIZATION,
    METHODS,
    method_of,
    ordered,
    paper_category,
    paper_corpus,
    paper_numbers,
)
from defectsynth_pipeline.verdict.partitions import (
    Runs,
    choose_runs,
    join_notes,
    join_partitions,
)


def make_paper_tables(
    classification: pd.DataFrame, localization: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Average the reports over partitions and lay them out as Tables VIII, IX and X.

    Args:
        classification: All versions of `classification_report`; may be empty.
        localization: All versions of `localization_report`; may be empty.

    Returns:
        Table VIII (a row per category, a column per arm and metric), Table IX (a row per arm, a
        column per corpus and metric) and Table X (a row per corpus and metric, without and with
        DefectSynth). `partitions` says which entered, `note` what is missing.

    Raises:
        InputError: There is no report at all, or one lacks columns.
    """
    of_types = choose_runs(classification, CLASSIFICATION)
    of_places = choose_runs(localization, LOCALIZATION)
    if not of_types.partitions and not of_places.partitions:
        raise InputError(
            "there is no report to make tables of",
            value="no version of classification_report or localization_report",
            remedy="run kedro run --pipeline=downstream first, best once per partition",
        )
    paper = paper_numbers()
    return (
        table_viii(of_types, paper),
        table_ix(of_places, paper),
        table_x({"classification": of_types, "localization": of_places}, paper),
    )


def table_viii(runs: Runs, paper: pd.DataFrame) -> pd.DataFrame:
    """Classification: categories are rows, arms are columns, then the averages."""
    paper = paper[paper["table"] == "VIII"]
    means = runs.mean()
    rows: list[dict[str, object]] = []
    for (corpus, category), partitions in runs.partitions.items():
        known = paper if paper_corpus(corpus) == "mvtec" else paper.iloc[:0]
        printed = known[known["category"] == paper_category(category)]
        notes = [runs.notes[corpus, category], "" if len(printed) else "not in the paper"]
        if len(printed) and printed[CONTROL].isna().all():
            notes.append("a dash in the paper")
        cells = _of(means, corpus, category).droplevel(["corpus", "category"])
        rows.append(
            {"corpus": corpus, "category": category, "partitions": partitions}
            | _arm_columns(cells, runs.arms)
            | _paper_columns(printed)
            | {"note": join_notes(notes)}
        )
    average = _average(means, CLASSIFICATION)
    rows.append(
        {
            "corpus": "",
            "category": "average",
            "partitions": join_partitions(runs.partitions.values()),
        }
        | _arm_columns(average, runs.arms)
        | {"note": _average_note(runs, CLASSIFICATION) or "no classification report"}
    )
    rows.append(
        {"corpus": "", "category": "paper average", "partitions": ""}
        | _paper_columns(paper[paper["category"] == "average"])
        | {"note": "as printed, over its 14 categories"}
    )
    return ordered(rows, _beside(runs.arms, CLASSIFICATION))


def table_ix(runs: Runs, paper: pd.DataFrame) -> pd.DataFrame:
    """Localization: arms are rows; columns are corpora times image- and pixel-level metrics."""
    paper = paper[paper["table"] == "IX"].set_index(["corpus", "metric"])
    corpora = runs.corpora()
    absent = [name for name in CORPORA if name not in map(paper_corpus, corpora)]
    averages = {c: _average(_of(runs.mean(), c), LOCALIZATION) for c in corpora}
    note = join_notes(
        [*(_corpus_note(runs, c) for c in corpora), *(f"{c} not run" for c in absent)]
    )
    rows: list[dict[str, object]] = []
    for arm in [*runs.arms, *_others(runs.arms)]:
        own, method = arm in runs.arms, method_of(arm)
        row: dict[str, object] = {
            "arm": arm,
            "partitions": join_partitions(runs.partitions.values()) if own else "",
        }
        for corpus in corpora:
            found = averages[corpus]
            row |= {f"{corpus}.{m}": _percent(found.get((arm, m))) for m in LOCALIZATION}
        for corpus in CORPORA if method else ():
            row |= {f"paper.{corpus}.{m}": paper.loc[(corpus, m), method] for m in LOCALIZATION}
        rows.append(row | {"note": note if own else "the paper's only; not run here"})
    placed = [*corpora, *absent]
    pairs = [(name, f"paper.{paper_corpus(name)}") for name in placed]
    columns = [f"{head}.{m}" for pair in pairs for head in pair for m in LOCALIZATION]
    known = {name for row in rows for name in row}
    return ordered(rows, [name for name in dict.fromkeys(columns) if name in known])


def _of(means: pd.Series, corpus: str, category: str | None = None) -> pd.Series:
    index = means.index
    chosen = index.get_level_values("corpus") == corpus
    if category is not None:
        chosen &= index.get_level_values("category") == category
    return means[chosen]


def _average(means: pd.Series, metrics: Sequence[str]) -> pd.Series:
    """Mean over categories by (arm, metric), NaN for an arm without one of the categories.

    A category in which a metric is defined for no arm is no category of that metric.
    """
    found: dict[tuple[str, str], float] = {}
    for metric in metrics:
        of_metric = means[means.index.get_level_values("metric") == metric].droplevel("metric")
        table = of_metric.unstack("arm")
        found |= {(arm, metric): table[arm].mean(skipna=False) for arm in table}
    return pd.Series(found, dtype=float)


def _average_note(runs: Runs, metrics: Sequence[str]) -> str:
    """Over what the average is, and which arms have none."""
    if not runs.partitions:
        return ""
    lacking = _average(runs.mean(), metrics).unstack().isna().any(axis=1)
    names = [arm for arm in runs.arms if lacking.get(arm, True)]
    over = "over " + ", ".join(category for _, category in runs.partitions)
    return join_notes([over, f"not in every category: {', '.join(names)}" if names else ""])


def _corpus_note(runs: Runs, corpus: str) -> str:
    categories = runs.corpora()[corpus]
    gaps = [f"{name}: {runs.notes[corpus, name]}" for name in categories]
    gaps = [note for note in gaps if not note.endswith(": ")]
    paper = "the paper's is over its whole set" if paper_corpus(corpus) else "not in the paper"
    return f"{corpus}: over {', '.join(categories)} ({join_notes([paper, *gaps])})"


def _arm_columns(cells: pd.Series, arms: Iterable[str]) -> dict[str, object]:
    return {f"{arm}.{m}": _percent(cells.get((arm, m))) for arm in arms for m in CLASSIFICATION}


def _paper_columns(printed: pd.DataFrame) -> dict[str, object]:
    cells = printed.set_index("metric")
    return {f"paper.{m}.{metric}": cells.loc[metric, m] for metric in cells.index for m in METHODS}


def _beside(arms: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """Each arm's columns, the paper's for the same method next to them, its others last."""
    names = []
    for arm in arms:
        names += [f"{arm}.{metric}" for metric in metrics]
        names += [f"paper.{method_of(arm)}.{m}" for m in metrics if method_of(arm)]
    return names + [f"paper.{method}.{m}" for method in _others(arms) for m in metrics]


def _others(arms: Sequence[str]) -> list[str]:
    """The paper's methods that no arm stands for."""
    shown = {method_of(arm) for arm in arms}
    return [method for method in METHODS if method not in shown]


def _percent(value: float | None) -> float:
    return np.nan if value is None else round(float(value) * 100, 2)
