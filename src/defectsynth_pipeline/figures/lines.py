"""Lines over a number: the ratio curve and the training losses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from defectsynth_pipeline.figures import style
from defectsynth_pipeline.verdict.comparison import ALL, CATEGORY, METRIC_NAMES

_FAINT = 0.35


def draw_finetuning(history: pd.DataFrame) -> Figure:
    """Draw the losses of the fine-tuned network, on what it learns from and on held-out samples.

    Args:
        history: The table `finetune_history`.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.add_subplot()
    style.clean(ax, "", "optimizer step", "mask-weighted denoising loss")
    for column, label, colour in (
        ("train_loss", "training (smoothed)", style.BLUE),
        ("validation_loss", "held-out base samples", style.VERMILLION),
    ):
        points = history.dropna(subset=[column])
        marker = "o" if column == "validation_loss" or len(points) == 1 else ""
        if len(points):
            ax.plot(points["step"], points[column], color=colour, marker=marker, label=label)
    ax.set_xlim(0, max(1, history["step"].max()) * 1.04)
    held = history.dropna(subset=["validation_loss"])
    told = "no base sample was held out"
    if len(held):
        best = held.loc[held["validation_loss"].idxmin()]
        told = f"lowest held-out loss {best['validation_loss']:.4f} at step {best['step']:.0f}"
    style.title(figure, f"Fine-tuning: {told}")
    if ax.lines:
        ax.legend(fontsize=style.SMALL, frameon=False)
    return figure


def draw_ratio(curve: pd.DataFrame) -> Figure:
    """Draw the metric over the number of synthetic images, and the number worth making.

    Args:
        curve: From `ratio.ratio_curve`; tables of both tasks may be joined.
    """
    if curve.empty:
        return style.empty_figure(
            "How many synthetic images are worth making was not measured:\n"
            "set arms.ratio to the numbers to compare, for example [0, 25, 50, 100],\n"
            "and run downstream again."
        )
    groups = list(curve.groupby([*CATEGORY, "defect_type", "metric"], sort=False))
    figure, panels = _grid(len(groups), height=2.9)
    for ax, (key, rows) in zip(panels, groups, strict=False):
        task, _, category, kind, metric = key
        title = f"{category} / {'all types' if kind == ALL else kind}, {task}"
        style.clean(ax, title, "distinct synthetic images", METRIC_NAMES[str(metric)])
        _ratio_panel(ax, rows)
    style.title(
        figure, "How many synthetic images are worth making? Mean and interval, real test images"
    )
    return figure


def draw_training(history: pd.DataFrame) -> Figure:
    """Draw the training losses of every arm, a thin line per seed, per category and detector.

    Args:
        history: Columns task, corpus, category, detector, arm, seed, fold, step, loss; fold is
            -1 in the training that is judged, and the others had a part of the base held out.
    """
    history = history.dropna(subset=["loss"])
    if history.empty:
        return style.empty_figure("No training history: no detector was trained step by step")
    groups = list(history.groupby([*CATEGORY, "detector"], sort=False))
    arms = style.whole_arms(history["arm"])
    figure, panels = _grid(len(groups), height=2.7)
    for ax, (key, rows) in zip(panels, groups, strict=False):
        style.clean(ax, f"{key[2]}, {key[0]} ({key[3]})", "optimizer step", "loss (log scale)")
        _loss_panel(ax, rows, arms)
    legend = style.lines_of(arms)
    if (history["fold"] >= 0).any():
        faint = Line2D([], [], color=style.BLACK, alpha=_FAINT, label="with base images held out")
        legend.append(faint)
    style.title(figure, "Training loss, one line per seed")
    style.legend_below(figure, legend)
    return figure


def _ratio_panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Curves at even steps, since numbers of images usually double; a ring at `worth_making`."""
    numbers = sorted(rows["n"].unique())
    for name, points in rows.groupby("arm", sort=False):
        colour = style.strokes([str(name)])[str(name)].colour
        x = [numbers.index(n) for n in points["n"]]
        ax.fill_between(x, points["low"], points["high"], color=colour, alpha=0.18, lw=0)
        ax.plot(x, points["value"], color=colour, marker="o", markersize=4, label=name)
        worth = int(points["worth_making"].iloc[0])
        for value in points.loc[points["n"] == worth, "value"].iloc[:1]:
            label = f"worth making: {worth or 'none'}"
            (ring,) = ax.plot(numbers.index(worth), value, "o", markersize=12, label=label)
            ring.set(markerfacecolor="none", markeredgecolor=style.VERMILLION, markeredgewidth=2)
    ax.set_xticks(range(len(numbers)), [str(number) for number in numbers])
    ax.legend(fontsize=style.SMALL, frameon=False, loc="best")


def _loss_panel(ax: Axes, rows: pd.DataFrame, arms: Sequence[str]) -> None:
    """Losses as lines, those of trainings with a part of the base held out faintly."""
    for name, (colour, dash) in style.strokes(arms).items():
        for (_, fold), run in rows[rows["arm"] == name].groupby(["seed", "fold"], sort=True):
            (line,) = ax.plot(run["step"], run["loss"], color=colour, linestyle=dash, linewidth=1.1)
            line.set(alpha=_FAINT if fold >= 0 else 1, marker="o" if len(run) == 1 else "")
    ax.set_yscale("log")
    for set_formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        set_formatter(style.plain_number)
    ax.tick_params(which="both", labelsize=style.SMALL)


def _grid(count: int, *, height: float) -> tuple[Figure, np.ndarray]:
    """A figure of `count` panels in rows of three."""
    columns = min(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(3.9 * columns, 6.5), height * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in panels[count:]:
        ax.set_axis_off()
    return figure, panels
