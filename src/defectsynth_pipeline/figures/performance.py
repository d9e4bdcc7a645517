"""What the detectors do: types told apart, and defects found against false alarms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from defectsynth_pipeline.figures import style
from defectsynth_pipeline.inspection.results import (
    LEGACY,
    ClassificationResults,
    LocalizationResults,
)
from defectsynth_pipeline.measures.detection import LocalizationStats
from defectsynth_pipeline.verdict.choice import chosen_detector, of_chosen

_PLACE = ["corpus", "category"]


def draw_confusion(results: ClassificationResults) -> Figure:
    """Draw how often each true type is predicted as what, summed over seeds.

    Of each category's chosen detector (`choice.chosen_detector`), as in the verdict.
    Colour is the share of the true type's images, the number is their count.
    """
    chosen = of_chosen(results.meta, _PLACE)
    known = [*_PLACE, "detector", "arm", "seed", "selected"]
    predictions = results.predictions.merge(chosen[chosen["selected"] != LEGACY][known], on=known)
    if predictions.empty:
        return style.empty_figure("No classification results")
    arms = style.whole_arms(predictions["arm"])
    categories = list(predictions.groupby(_PLACE, sort=False))
    types = [sorted({*rows["defect_type"], *rows["predicted"]}) for _, rows in categories]
    sides = [1.1 + 0.42 * max(len(names), 2) for names in types]
    width, height = 1.4 + (max(sides) + 0.2) * len(arms), 0.9 + sum(side + 1.1 for side in sides)
    figure = Figure(figsize=(max(7.0, width), height), layout="constrained")
    panels = figure.subplots(len(categories), len(arms), squeeze=False, height_ratios=sides)
    for row, ((key, rows), names) in enumerate(zip(categories, types, strict=True)):
        for ax, arm in zip(panels[row], arms, strict=True):
            _panel(ax, rows[rows["arm"] == arm], names, arm)
            ax.set_xlabel("predicted", fontsize=style.SMALL)
        panels[row, 0].set_yticks(range(len(names)), names, fontsize=style.SMALL)
        detector = rows["detector"].iloc[0]
        label = f"{key[1]} ({detector})\ntrue type"
        panels[row, 0].set_ylabel(label, fontsize=style.NORMAL)
    seeds = predictions["seed"].nunique()
    summed = "one seed" if seeds == 1 else f"summed over {seeds} seeds"
    style.title(figure, f"What each defect type is taken for; real test images, {summed}")
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, names: Sequence[str], arm: str) -> None:
    counts = pd.crosstab(rows["defect_type"], rows["predicted"])
    table = counts.reindex(index=names, columns=names, fill_value=0).to_numpy()
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1.15)
    for (true, predicted), count in np.ndenumerate(table):
        colour = "white" if shares[true, predicted] > 0.6 else style.BLACK
        if count:
            ax.text(predicted, true, str(count), ha="center", va="center", color=colour, fontsize=9)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=style.SMALL)
    ax.set_yticks(range(len(names)), [""] * len(names))
    ax.tick_params(length=0)
    right = table.trace() / max(table.sum(), 1)
    ax.set_title(f"{arm}\n{right:.0%} right", fontsize=style.NORMAL)


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
    averaged. Of each category's chosen detector, as in the verdict, and of `normals_only`.
    """
    meta = of_chosen(results.meta[results.meta["selected"] != LEGACY], _PLACE)
    if meta.empty:
        return style.empty_figure("No localization results")
    arms = style.whole_arms(meta["arm"])
    categories = list(meta.groupby(_PLACE, sort=False))
    figure = Figure(figsize=(13, 0.9 + 3.1 * len(categories)), layout="constrained")
    panels = figure.subplots(len(categories), len(_PANELS), squeeze=False)
    for row, ((corpus, category), runs) in enumerate(categories):
        stats: dict[str, list[LocalizationStats]] = {}
        for run in runs.itertuples():
            key = (corpus, category, run.detector, run.arm, run.seed)
            stats.setdefault(run.arm, []).append(results.stats[key])
        curves = {arm: [one.curves() for one in stats[arm]] for arm in arms if arm in stats}
        _row(panels[row], curves)
        label = f"{category} ({chosen_detector(runs)})\n{_PANELS['image_roc'][2]}"
        panels[row, 0].set_ylabel(label, fontsize=style.NORMAL)
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
            ax.xaxis.set_major_formatter(style.power_of_ten)


def _at(curve: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The curve's second column at values of its first; the highest where the first repeats."""
    x, places = np.unique(curve[:, 0], return_inverse=True)
    y = np.full(len(x), -np.inf)
    np.maximum.at(y, places, curve[:, 1])
    return np.interp(grid, x, y)
