"""ROC and precision-recall curves: a row of panels per category, a line per arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from defectsynth_pipeline.figures import style
from defectsynth_pipeline.inspection.results import LEGACY, LocalizationResults

_PANELS = {
    "image_roc": ("Images: ROC", "false positive rate", "true positive rate"),
    "image_pr": ("Images: precision and recall", "recall", "precision"),
    "pixel_roc": ("Pixels: ROC", "false positive rate (log scale)", "true positive rate"),
    "pixel_pr": ("Pixels: precision and recall", "recall", "precision"),
}
_GRID = np.linspace(0, 1, 401)
_LOG_GRID = np.concatenate([[0.0], np.geomspace(1e-4, 1, 400)])


def draw_curves(results: LocalizationResults) -> Figure:
    """Draw ROC and PR curves of all defect types together, each the mean over seeds.

    At each false positive rate (or recall) the seeds' true positive rates (or precisions) are
    averaged.
    """
    meta = results.meta[results.meta["selected"] != LEGACY]
    if meta.empty:
        return style.empty_figure("No localization results")
    arms = style.whole_arms(meta["arm"])
    categories = list(meta.groupby(["corpus", "category"], sort=False))
    figure = Figure(figsize=(13, 0.9 + 3.1 * len(categories)), layout="constrained")
    panels = figure.subplots(len(categories), len(_PANELS), squeeze=False)
    for row, ((corpus, category), runs) in enumerate(categories):
        seeds = runs["seed"].unique()
        curves = {
            arm: [results.stats[corpus, category, arm, seed].curves() for seed in seeds]
            for arm in arms
            if (runs["arm"] == arm).any()
        }
        _row(panels[row], curves)
        panels[row, 0].set_ylabel(f"{category}\n{_PANELS['image_roc'][2]}", fontsize=style.NORMAL)
    style.title(figure, "Defects found against false alarms; real test images, mean over seeds")
    style.legend_below(figure, style.lines_of(arms))
    return figure


def _row(panels: Sequence[Axes], curves: dict[str, list[dict[str, np.ndarray]]]) -> None:
    for ax, (name, (title, x_label, y_label)) in zip(panels, _PANELS.items(), strict=True):
        style.clean(ax, title, x_label, y_label)
        grid = _LOG_GRID if name == "pixel_roc" else _GRID
        # Later lines are thinner, so that none hides one below it.
        widths = np.linspace(2.8, 1.3, len(curves))
        for width, (arm, stroke) in zip(widths, style.strokes(curves).items(), strict=True):
            of_seeds = [one[name] for one in curves[arm] if len(one[name])]
            if of_seeds:
                mean = np.mean([_at(curve, grid) for curve in of_seeds], axis=0)
                ax.plot(grid, mean, color=stroke.colour, linestyle=stroke.dash, linewidth=width)
        if not ax.lines:
            ax.text(0.5, 0.5, "not defined:\nno good test images", ha="center", va="center")
        ax.set_ylim(-0.02, 1.02)
        ax.set_xlim(*((1e-4, 1) if name == "pixel_roc" else (-0.02, 1.02)))
        if name == "pixel_roc":
            ax.set_xscale("log")


def _at(curve: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The curve's second column at values of its first; the highest where the first repeats."""
    x, places = np.unique(curve[:, 0], return_inverse=True)
    y = np.full(len(x), -np.inf)
    np.maximum.at(y, places, curve[:, 1])
    return np.interp(grid, x, y)
