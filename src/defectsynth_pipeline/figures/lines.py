"""Lines over a number: the ratio curve and the training losses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from defectsynth_pipeline.figures import style
from defectsynth_pipeline.verdict.comparison import ALL, METRIC_NAMES

_COLUMNS = 3
_PLACE = ["task", "corpus", "category"]


def draw_ratio(curve: pd.DataFrame) -> Figure:
    """Draw the metric over the number of synthetic images, and the number worth making.

    Args:
        curve: From `ratio.ratio_curve`; tables of both tasks may be joined.
    """
    if curve.empty:
        return style.empty_figure("No ratio curve: set arms.ratio, for example [0, 25, 50, 100]")
    groups = list(curve.groupby([*_PLACE, "defect_type", "metric"], sort=False))
    figure, panels = _grid(len(groups), height=2.9)
    for ax, (key, rows) in zip(panels, groups, strict=False):
        task, _, category, kind, metric = key
        _ratio_panel(ax, rows)
        shown = "all types" if kind == ALL else kind
        ax.set_title(f"{category} / {shown}, {task}", fontsize=style.NORMAL, loc="left")
        ax.set_ylabel(METRIC_NAMES[str(metric)], fontsize=style.SMALL)
    style.title(
        figure, "How many synthetic images are worth making? Mean and interval, real test images"
    )
    return figure


def draw_training(history: pd.DataFrame) -> Figure:
    """Draw the training losses of every arm, a thin line per seed, per category.

    Args:
        history: Columns task, corpus, category, arm, seed, step, loss, and validation_loss where
            there was a held-out part.
    """
    if history.empty:
        return style.empty_figure("No training history")
    groups = list(history.groupby(_PLACE, sort=False))
    arms = style.whole_arms(history["arm"])
    figure, panels = _grid(len(groups), height=2.7)
    for ax, (key, rows) in zip(panels, groups, strict=False):
        _loss_panel(ax, rows, arms)
        ax.set_title(f"{key[2]}, {key[0]}", fontsize=style.NORMAL, loc="left")
    legend = [
        Line2D([], [], color=stroke.colour, linestyle=stroke.dash, label=name)
        for name, stroke in style.strokes(arms).items()
    ]
    if _validated(history):
        legend.append(Line2D([], [], color="none", marker="o", mec=style.BLACK, label="held-out"))
    style.title(figure, "Training loss, one line per seed")
    style.legend_below(figure, legend)
    return figure


def _ratio_panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Curves at even steps, since numbers of images usually double."""
    numbers = sorted(rows["n"].unique())
    places = {number: place for place, number in enumerate(numbers)}
    style.clean(ax)
    for name, points in rows.groupby("arm", sort=False):
        stroke = style.strokes([str(name)])[str(name)]
        x = [places[n] for n in points["n"]]
        ax.fill_between(x, points["low"], points["high"], color=stroke.colour, alpha=0.18, lw=0)
        ax.plot(x, points["value"], color=stroke.colour, marker="o", markersize=4, label=name)
        _mark_worth(ax, points, places)
    ax.set_xticks(range(len(numbers)), [str(number) for number in numbers])
    ax.set_xlabel("distinct synthetic images", fontsize=style.SMALL)
    ax.legend(fontsize=style.SMALL, frameon=False, loc="best")


def _mark_worth(ax: Axes, points: pd.DataFrame, places: dict[int, int]) -> None:
    worth = int(points["worth_making"].iloc[0])
    chosen = points[points["n"] == worth]
    if chosen.empty:
        return
    label = f"worth making: {worth}" if worth else "worth making: none"
    ax.plot(
        places[worth],
        chosen["value"].iloc[0],
        linestyle="none",
        marker="o",
        markersize=12,
        markerfacecolor="none",
        markeredgecolor=style.VERMILLION,
        markeredgewidth=2,
        label=label,
    )


def _loss_panel(ax: Axes, rows: pd.DataFrame, arms: Sequence[str]) -> None:
    style.clean(ax)
    for name, stroke in style.strokes(arms).items():
        for _, run in rows[rows["arm"] == name].groupby("seed", sort=True):
            losses = run.dropna(subset=["loss"])
            ax.plot(
                losses["step"],
                losses["loss"],
                color=stroke.colour,
                linestyle=stroke.dash,
                linewidth=1.1,
            )
            if _validated(run):
                held = run.dropna(subset=["validation_loss"])
                ax.plot(
                    held["step"],
                    held["validation_loss"],
                    linestyle="none",
                    marker="o",
                    markersize=4,
                    markerfacecolor="none",
                    color=stroke.colour,
                )
    ax.set_yscale("log")
    for set_formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        set_formatter(_plain)
    ax.tick_params(which="both", labelsize=style.SMALL)
    ax.set_xlabel("optimizer step", fontsize=style.SMALL)
    ax.set_ylabel("loss (log scale)", fontsize=style.SMALL)


def _plain(value: float, place: float = 0) -> str:
    """A label at 1, 2 and 5 times a power of ten, without an exponent."""
    text = f"{value:g}"
    return text if text.strip("0.") in ("1", "2", "5") else ""


def _validated(history: pd.DataFrame) -> bool:
    return "validation_loss" in history and bool(history["validation_loss"].notna().any())


def _grid(count: int, *, height: float) -> tuple[Figure, np.ndarray]:
    """A figure of `count` panels in rows of three."""
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(3.9 * columns, 6.5), height * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in panels[count:]:
        ax.set_axis_off()
    return figure, panels
