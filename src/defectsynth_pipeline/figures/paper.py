"""Tables VIII, IX and X as one picture: ours filled, the paper's hollow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from defectsynth_pipeline.verdict.paper import CONTROL, CORPORA, METHODS, OURS, method_of

# Okabe and Ito's colours, told apart by most colour-blind eyes.
_COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_MARKERS = "osD^vPX"


def draw_paper_tables(viii: pd.DataFrame, ix: pd.DataFrame, x: pd.DataFrame) -> Figure:
    """Accuracy by category, pixel AP by corpus, and what DefectSynth adds; percent.

    Args:
        viii: Table VIII of `make_paper_tables`, fresh or read from its CSV.
        ix: Table IX.
        x: Table X.
    """
    rows = viii[viii["category"] != "paper average"]
    arms = _arms(viii, ix)
    corpora = [name.removesuffix(".pixel_ap") for name in ix if str(name).endswith(".pixel_ap")]
    corpora = [name for name in corpora if not name.startswith("paper.")]
    height = 2.5 + 0.3 * max(len(rows) + len(corpora), len(x))
    figure = Figure(figsize=(14, height), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(len(rows) + 1, len(corpora) + 1))
    upper, lower = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    _dots(upper, _labels(rows), _columns(rows, arms, "accuracy"), arms)
    upper.set_title("Table VIII: classification accuracy by category", loc="left", fontsize=10)
    _dots(lower, _with_partitions(corpora, ix), _corpus_columns(ix, corpora, arms), arms)
    lower.set_title("Table IX: localization, pixel AP by corpus", loc="left", fontsize=10)
    _differences(figure.add_subplot(grid[:, 1]), x)
    handles = {
        label: handle
        for ax in (upper, lower)
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=8)
    figure.suptitle(
        "Filled: measured here, partitions in brackets. Hollow: printed in the paper, on its data."
    )
    return figure


def _arms(viii: pd.DataFrame, ix: pd.DataFrame) -> list[str]:
    named = [str(c).removesuffix(".accuracy") for c in viii if str(c).endswith(".accuracy")]
    named = [name for name in named if not name.startswith("paper.")]
    own = ix.loc[ix["partitions"].fillna("") != "", "arm"]
    return list(dict.fromkeys([*named, *own]))


def _columns(rows: pd.DataFrame, arms: Iterable[str], metric: str) -> dict[str, np.ndarray]:
    found = {arm: f"{arm}.{metric}" for arm in arms}
    found |= {f"paper: {m}": f"paper.{m}.{metric}" for m in (CONTROL, OURS)}
    return {label: _numbers(rows[name]) for label, name in found.items() if name in rows}


def _corpus_columns(
    ix: pd.DataFrame, corpora: Sequence[str], arms: Iterable[str]
) -> dict[str, np.ndarray]:
    """A number per corpus; a corpus that the paper lacks has no hollow mark."""
    own = ix.drop_duplicates("arm").set_index("arm")
    found = {
        arm: _numbers(own.loc[arm, [f"{c}.pixel_ap" for c in corpora]])
        for arm in arms
        if arm in own.index
    }
    for method in (CONTROL, OURS):
        names = [f"paper.{_known(c)}.pixel_ap" for c in corpora]
        row = ix[ix["arm"].map(method_of) == method]
        if len(row):
            found[f"paper: {method}"] = _numbers(row.iloc[0].reindex(names))
    return found


def _known(corpus: str) -> str:
    return next((name for name in CORPORA if name in corpus.lower()), "none")


def _dots(
    ax: Axes, labels: Sequence[str], columns: Mapping[str, np.ndarray], own: Sequence[str]
) -> None:
    """A line of marks per label, arms a little apart, so that equal numbers stay visible.

    An arm of ours has the same mark in every panel, and the paper's its hollow form.
    """
    heights = np.arange(len(labels))
    spread = np.linspace(-0.3, 0.3, max(len(columns), 2))
    for offset, (label, values) in zip(spread, columns.items(), strict=False):
        name = label.removeprefix("paper: ")
        rank = own.index(name) if name in own else len(own) + METHODS.index(name)
        colour = _COLOURS[rank % len(_COLOURS)]
        marker = _MARKERS[rank % len(_MARKERS)]
        inside = colour if label in own else "none"
        ax.plot(values, heights + offset, marker, ls="none", label=label, mfc=inside, mec=colour)
    _rows(ax, labels)
    ax.set(xlim=(-2, 102), xlabel="%")


def _differences(ax: Axes, x: pd.DataFrame) -> None:
    """Percentage points by corpus and metric, whiskers over categories and partitions."""
    rows = x[x["difference"].notna() & (_numbers(x["categories"]) > 0)]
    names = rows[["corpus", "metric", "partitions"]].astype(str).to_numpy()
    heights = np.arange(len(rows))
    low, high = _numbers(rows["difference_lowest"]), _numbers(rows["difference_highest"])
    ax.hlines(heights, low, high, color="#0072B2", lw=1)
    ax.plot(_numbers(rows["difference"]), heights, "o", color="#0072B2")
    paper = _numbers(rows["paper.difference"])
    ax.plot(paper, heights + 0.2, "D", mfc="none", mec="#D55E00", ls="none")
    ax.axvline(0, color="0.4", lw=0.8)
    _rows(ax, [f"{corpus} {metric} [{partitions}]" for corpus, metric, partitions in names])
    ax.set_xlabel(f"percentage points, {OURS} less {CONTROL}")
    title = (
        f"Table X: what {OURS} adds. Line: single categories and partitions.\n"
        "Hollow: the paper's tire images."
    )
    ax.set_title(title, loc="left", fontsize=10)


def _rows(ax: Axes, labels: Sequence[str]) -> None:
    ax.set_yticks(range(len(labels)), labels, fontsize=8)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)


def _labels(rows: pd.DataFrame) -> list[str]:
    names = rows[["category", "partitions"]].fillna("").astype(str).to_numpy()
    return [f"{name} [{partitions}]" if partitions else name for name, partitions in names]


def _with_partitions(corpora: Sequence[str], ix: pd.DataFrame) -> list[str]:
    entered = next((text for text in ix["partitions"].fillna("") if text), "")
    return [f"{name} [{entered}]" for name in corpora]


def _numbers(values: pd.Series) -> np.ndarray:
    return pd.to_numeric(values, errors="coerce").to_numpy(float)
