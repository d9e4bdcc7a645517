"""Tables VIII, IX and X as one picture: ours filled, the paper's hollow."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from defectsynth_pipeline.figures.style import BLUE, VERMILLION, clean, legend_below, strokes, title
from defectsynth_pipeline.verdict.paper_tables import CONTROL, OURS, method_of, paper_corpus


def draw_paper_tables(viii: pd.DataFrame, ix: pd.DataFrame, x: pd.DataFrame) -> Figure:
    """Accuracy by category, pixel AP by corpus, and what DefectSynth adds; percent.

    Args:
        viii: Table VIII of `make_paper_tables`.
        ix: Table IX.
        x: Table X.
    """
    viii = viii[viii["category"] != "paper average"]
    types = viii.filter(regex=r"\.accuracy$").rename(columns=lambda name: name[: -len(".accuracy")])
    types.index = pd.Index(viii["category"] + " [" + viii["partitions"] + "]")
    spots = ix.set_index("arm").filter(regex=r"\.pixel_ap$").T
    spots.index = spots.index.str.removesuffix(".pixel_ap")
    ours = ix[ix["partitions"] != ""]
    places = spots.loc[~spots.index.str.startswith("paper."), ours["arm"]]
    printed = spots.reindex("paper." + places.index.map(paper_corpus)).set_axis(places.index)
    for method in (CONTROL, OURS):
        arm = next(arm for arm in spots if method_of(arm) == method)
        places[f"paper.{method}"] = printed[arm]
    places.index += " [" + "".join(ours["partitions"][:1]) + "]"

    looks: dict[str, dict[str, Any]] = {}
    arms = [arm for arm in (*types, *places) if not arm.startswith("paper.")]
    for (arm, stroke), marker in zip(strokes([*arms, CONTROL, OURS]).items(), cycle("osD^vPX")):
        looks[arm] = {"marker": marker, "color": stroke.colour, "ls": "none"}
        looks[f"paper.{arm}"] = looks[arm] | {"mfc": "none"}

    size = (14, 2.5 + 0.3 * max(len(types) + len(places), len(x)))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(len(types) + 1, len(places) + 1))
    upper, lower = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    _dots(upper, types, looks, "Table VIII: classification accuracy by category")
    _dots(lower, places, looks, "Table IX: localization, pixel AP by corpus")
    _differences(figure.add_subplot(grid[:, 1]), x)
    shown = [name for name in looks if name in types or name in places]
    legend_below(figure, [Line2D([], [], label=name, **looks[name]) for name in shown])
    title(figure, "Filled: measured here, partitions in brackets. Hollow: the paper's, on its data")
    return figure


def _dots(ax: Axes, table: pd.DataFrame, looks: dict[str, Any], text: str) -> None:
    """A line of marks per row, arms a little apart, so that equal numbers stay visible."""
    kept = [name for name in table if name in looks]
    for offset, name in zip(np.linspace(-0.3, 0.3, max(len(kept), 2)), kept, strict=False):
        ax.plot(table[name], np.arange(len(table)) + offset, label=name, **looks[name])
    clean(ax, text, "%")
    ax.set_xlim(-2, 102)
    ax.set_yticks(range(len(table)), table.index)
    ax.set_ylim(max(len(table), 1) - 0.5, -0.5)


def _differences(ax: Axes, x: pd.DataFrame) -> None:
    """Percentage points by corpus and metric, whiskers over categories and partitions."""
    rows = x[x["categories"] > 0]
    heights = np.arange(len(rows))
    ax.hlines(heights, rows["difference_lowest"], rows["difference_highest"], color=BLUE, lw=1)
    ax.plot(rows["difference"], heights, "o", color=BLUE)
    ax.plot(rows["paper.difference"], heights + 0.2, "D", mfc="none", mec=VERMILLION, ls="none")
    ax.axvline(0, color="0.4", lw=0.8)
    clean(
        ax,
        f"Table X: what {OURS} adds; the paper's on its tire images",
        f"percentage points, {OURS} less {CONTROL}; lines: single categories and partitions",
    )
    ax.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    ax.set_yticks(heights, rows["corpus"] + " " + rows["metric"] + " [" + rows["partitions"] + "]")
