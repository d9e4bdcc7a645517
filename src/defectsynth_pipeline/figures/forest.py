"""The verdict as a forest plot: difference with interval per defect type, a column per control."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from defectsynth_pipeline.figures import style
from defectsynth_pipeline.verdict.comparison import ALL, CATEGORY, POWER, controls_in

_ROW = [*CATEGORY, "detector", "defect_type", "arm"]
_METRICS = {"localization": "pixel AP (localization)", "classification": "F1 (classification)"}
_BAND = "#ececec"


def draw_verdict(verdict: pd.DataFrame) -> Figure:
    """Draw every verdict: right of the line the arm is better than the control.

    The band around 0 ends at the smallest difference that the test set could show.

    Args:
        verdict: From `verdict.make_verdict`; points `a@n` of a ratio curve are left out.
    """
    if verdict.empty:
        return style.empty_figure("No verdict: no arm beside the controls was tested")
    verdict = verdict[verdict["arm"].isin(style.whole_arms(verdict["arm"]))]
    controls = controls_in(verdict)
    rows = verdict[_ROW].drop_duplicates().reset_index(drop=True)
    heights = _heights(rows)
    size = (max(8.0, 3.0 + 2.9 * len(controls)), 1.7 + 0.27 * (heights.max() + 1))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(controls), sharex=True, sharey=True, squeeze=False)[0]
    for ax, control in zip(panels, controls, strict=True):
        style.clean(ax, f"against {control}", "worse  ←  difference  →  better")
        _panel(ax, verdict[verdict["against"] == control], rows, heights)
    _label_rows(panels[0], rows, heights)
    arms = list(verdict["arm"].unique())
    subject = f"Does {arms[0]} pay?" if len(arms) == 1 else "Does the data pay?"
    judged = " and ".join(_METRICS[task] for task in verdict["task"].unique())
    style.title(figure, f"{subject} Difference in {judged}, real test images")
    band = f"smaller than this test set could show ({100 * POWER:g} % power)"
    legend: list[Line2D | Patch] = [
        Line2D([], [], color=colour, marker=marker, markersize=7, label=name)
        for name, (colour, marker) in style.VERDICTS.items()
    ]
    style.legend_below(figure, [*legend, Patch(color=_BAND, label=band)])
    return figure


def _heights(rows: pd.DataFrame) -> np.ndarray:
    """Place of each row from the top, a gap before each new task or category."""
    place = rows[CATEGORY]
    new = (place != place.shift()).any(axis=1).to_numpy()
    return np.arange(len(rows)) + 1.3 * np.cumsum(new)


def _panel(ax: Axes, judged: pd.DataFrame, rows: pd.DataFrame, heights: np.ndarray) -> None:
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.axvline(0, color=style.BLACK, linewidth=1)
    numbered = rows.assign(height=heights).merge(judged, on=_ROW)
    for row in numbered.itertuples():
        if np.isnan(row.difference):
            text = ax.text(0, row.height, " not defined", fontsize=style.SMALL, va="center")
            text.set_color(style.GREY)
            continue
        reach = row.detectable
        ax.barh(row.height, 2 * reach, left=-reach, height=0.8, color=_BAND, zorder=0.5)
        colour, marker = style.VERDICTS[row.verdict]
        thick = 2.6 if row.defect_type == ALL else 1.6
        ax.plot([row.low, row.high], [row.height] * 2, color=colour, linewidth=thick)
        ax.plot(row.difference, row.height, marker=marker, color=colour, markersize=7)
    ax.set_ylim(heights.max() + 0.8, -0.2)


def _label_rows(ax: Axes, rows: pd.DataFrame, heights: np.ndarray) -> None:
    """Row labels left of the first panel, a bold line where a task or category begins."""
    single = rows["arm"].nunique() == 1
    ticks: list[tuple[float, str, str]] = []
    begins = np.diff(heights, prepend=0) > 1.1
    for row, height, new in zip(rows.itertuples(), heights, begins, strict=True):
        if new:
            ticks.append((height - 1, f"{row.category}, {row.task} ({row.detector})", "bold"))
        kind = "all types together" if row.defect_type == ALL else row.defect_type
        ticks.append((height, kind if single else f"{kind}: {row.arm}", "normal"))
    places, labels, weights = zip(*ticks, strict=True)
    ax.set_yticks(places, labels, fontsize=style.NORMAL)
    for text, weight in zip(ax.get_yticklabels(), weights, strict=True):
        text.set_fontweight(weight)
