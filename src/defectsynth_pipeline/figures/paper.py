"""Tables VIII, IX and X as one picture: ours filled, the paper's hollow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from defectsynth_pipeline.figures.style import BLUE, SMALL, VERMILLION, clean, strokes
from defectsynth_pipeline.verdict.paper_tables import CONTROL, OURS, method_of, paper_corpus

_MARKERS = "osD^vPX"


def draw_paper_tables(viii: pd.DataFrame, ix: pd.DataFrame, x: pd.DataFrame) -> Figure:
    """Accuracy by category, pixel AP by corpus, and what DefectSynth adds; percent.

    Args:
        viii: Table VIII of `make_paper_tables`.
        ix: Table IX.
        x: Table X.
    """
    viii = viii[viii["category"] != "paper average"].set_index(["category", "partitions"])
    entered = next((text for text in ix["partitions"] if text), "")
    types = viii.filter(regex=r"\.accuracy$").rename(columns=lambda n: n.removesuffix(".accuracy"))
    spots = ix.set_index("arm").filter(regex=r"\.pixel_ap$").T
    spots.index = pd.MultiIndex.from_product([spots.index.str.removesuffix(".pixel_ap"), [entered]])
    corpora = [name for name in spots.index if not name[0].startswith("paper.")]
    places = spots.loc[corpora, list(ix.loc[ix["partitions"] != "", "arm"])]
    for method in (CONTROL, OURS):
        arm = next(arm for arm in spots if method_of(arm) == method)
        printed = spots[arm].reindex([(f"paper.{paper_corpus(c)}", e) for c, e in corpora])
        places[f"paper.{method}"] = printed.to_numpy()

    size = (14, 2.5 + 0.3 * max(len(types) + len(places), len(x)))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(len(types) + 1, len(places) + 1))
    upper, lower = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    arms = dict.fromkeys([*types, *places])
    order = [arm for arm in arms if not arm.startswith("paper.")]
    _dots(upper, types, order, "Table VIII: classification accuracy by category")
    _dots(lower, places, order, "Table IX: localization, pixel AP by corpus")
    _differences(figure.add_subplot(grid[:, 1]), x)
    handles = {str(line.get_label()): line for ax in (upper, lower) for line in ax.get_lines()}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=SMALL
    )
    figure.suptitle(
        "Filled: measured here, partitions in brackets. Hollow: printed in the paper, on its data."
    )
    return figure


def _dots(ax: Axes, table: pd.DataFrame, arms: Sequence[str], title: str) -> None:
    """A line of marks per row, arms a little apart, so that equal numbers stay visible.

    An arm of ours has the same mark in every panel, and the paper's its hollow form.
    """
    kept = [name for name in table if name in (*arms, f"paper.{CONTROL}", f"paper.{OURS}")]
    colours = strokes([*arms, CONTROL, OURS])
    for offset, label in zip(np.linspace(-0.3, 0.3, max(len(kept), 2)), kept, strict=False):
        name = label.removeprefix("paper.")
        marker = _MARKERS[arms.index(name) % len(_MARKERS)] if name in arms else "*"
        colour = colours[name].colour
        inside = colour if label == name else "none"
        heights = np.arange(len(table)) + offset
        ax.plot(table[label], heights, marker, ls="none", label=label, mfc=inside, mec=colour)
    _rows(ax, [f"{name} [{partitions}]" for name, partitions in table.index], title, "%")
    ax.set_xlim(-2, 102)


def _differences(ax: Axes, x: pd.DataFrame) -> None:
    """Percentage points by corpus and metric, whiskers over categories and partitions."""
    rows = x[x["categories"] > 0]
    heights = np.arange(len(rows))
    ax.hlines(heights, rows["difference_lowest"], rows["difference_highest"], color=BLUE, lw=1)
    ax.plot(rows["difference"], heights, "o", color=BLUE)
    ax.plot(rows["paper.difference"], heights + 0.2, "D", mfc="none", mec=VERMILLION, ls="none")
    ax.axvline(0, color="0.4", lw=0.8)
    title = (
        f"Table X: what {OURS} adds. Line: single categories and partitions.\n"
        "Hollow: the paper's tire images."
    )
    labels = [f"{row.corpus} {row.metric} [{row.partitions}]" for row in rows.itertuples()]
    _rows(ax, labels, title, f"percentage points, {OURS} less {CONTROL}")


def _rows(ax: Axes, labels: Sequence[str], title: str, x: str) -> None:
    clean(ax, title, x)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
