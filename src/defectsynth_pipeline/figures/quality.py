"""How near the images of each arm come to real ones, and how much they differ among themselves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, StrMethodFormatter

from defectsynth_pipeline.arms.shown import UNTOUCHED
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.verdict.comparison import ALL
from defectsynth_pipeline.verdict.quality import REAL
from defectsynth_pipeline.verdict.seen import DEFECT, WHOLE


class _Panel(NamedTuple):
    """A measure in a region; `better` is where good images lie."""

    measure: str
    region: str
    text: str
    better: str


_PANELS = (
    _Panel("kid", WHOLE, "KID × 10³, whole image", "← better"),
    _Panel("kid", DEFECT, "KID × 10³, inside the defect", "← better"),
    _Panel("ic_distance", DEFECT, "diversity inside the defect", "better →"),
    _Panel("recall", DEFECT, "recall inside the defect", "better →"),
    _Panel("mask_iou", DEFECT, "mask IoU with what changed", "better →"),
)
_ROW = 0.26  # inches
_LINEAR = 10.0  # KID x 10^3 up to which its axis is linear, beyond it is logarithmic
_TICKS = (-100, -10, 0, 10, 100, 1000)


def draw_quality(table: pd.DataFrame) -> Figure:
    """Draw a row of panels per category: a line per arm, single types small.

    Args:
        table: The table `generation_quality`.
    """
    arms = [arm for arm in dict.fromkeys(table["arm"]) if arm != REAL]
    categories = list(table.groupby(["corpus", "category"], sort=False))
    height = 1.5 + len(categories) * (0.75 + _ROW * len(arms))
    figure = Figure(figsize=(14, height), layout="constrained")
    axes = figure.subplots(len(categories), len(_PANELS), squeeze=False, sharex="col")
    for line, (place, rows) in zip(axes, categories, strict=True):
        for ax, panel in zip(line, _PANELS, strict=True):
            _draw(ax, rows[rows["region"] == panel.region], panel, arms)
            ax.set_yticks(range(len(arms)), [""] * len(arms))
        line[0].set_yticks(range(len(arms)), arms, fontsize=style.SMALL)
        line[0].set_title(place[1], fontsize=style.NORMAL, loc="left", fontweight="bold")
    for ax, panel in zip(axes[-1], _PANELS, strict=True):
        ax.set_xlabel(f"{panel.text}\n{panel.better}", fontsize=style.SMALL)
    seen = f"{table['extractor'].iloc[0]}; diversity: {table['distance'].iloc[0]}"
    style.title(figure, f"Generated against real defects ({table['real'].iloc[0]}), seen by {seen}")
    style.legend_below(
        figure,
        [
            Line2D([], [], marker="o", ls="none", color=style.BLACK, label="all types"),
            Line2D([], [], marker="|", ls="none", color=style.GREY, label="single types"),
            Line2D([], [], color=style.GREEN, label="real against real"),
        ],
    )
    return figure


def _draw(ax: Axes, rows: pd.DataFrame, panel: _Panel, arms: list[str]) -> None:
    strokes = style.strokes(arms)
    floor = rows[(rows["arm"] == REAL) & (rows["defect_type"] == ALL)][panel.measure]
    if panel.measure == "mask_iou":  # of real ones only the estimated is known
        floor = floor.iloc[:0]
    for value in floor.dropna():
        ax.axvline(value, color=style.GREEN, linewidth=1)
    for place, arm in enumerate(arms):
        own = rows[rows["arm"] == arm]
        whole = own["defect_type"] == ALL
        colour = style.GREY if arm == UNTOUCHED else strokes[arm].colour
        ax.plot(own[~whole][panel.measure], np.full((~whole).sum(), place), "|", color=style.GREY)
        ax.plot(own[whole][panel.measure], np.full(whole.sum(), place), "o", color=colour)
    style.clean(ax, "", "")
    ax.set_ylim(len(arms) - 0.5, -0.5)
    if panel.measure == "kid":
        ax.set_xscale("symlog", linthresh=_LINEAR)
        # The scale's own ticks are formulas, which are not drawn here.
        ax.xaxis.set_major_locator(FixedLocator(_TICKS))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.margins(x=0.08)
    elif panel.measure == "ic_distance":
        ax.set_xlim(left=0)
    else:
        ax.set_xlim(-0.03, 1.03)
