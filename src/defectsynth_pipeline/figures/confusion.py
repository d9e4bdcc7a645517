"""Confusion matrices: a row of panels per category, a panel per arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from defectsynth_pipeline.figures import style
from defectsynth_pipeline.inspection.results import LEGACY, ClassificationResults


def draw_confusion(results: ClassificationResults) -> Figure:
    """Draw how often each true type is predicted as what, summed over seeds.

    Colour is the share of the true type's images, the number is their count.
    """
    predictions = results.predictions
    predictions = predictions[predictions["selected"] != LEGACY]
    if predictions.empty:
        return style.empty_figure("No classification results")
    arms = style.whole_arms(predictions["arm"])
    categories = list(predictions.groupby(["corpus", "category"], sort=False))
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
        panels[row, 0].set_ylabel(f"{key[1]}\ntrue type", fontsize=style.NORMAL)
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
