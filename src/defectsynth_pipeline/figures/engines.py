"""What each engine's images are worth to a detector, and how many of a type it makes."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from defectsynth_pipeline.figures import style
from defectsynth_pipeline.inspection.usefulness import ALL, MOVED, REAL

_ROW = 0.28  # inches
_SMALL: dict[str, Any] = {"va": "center", "fontsize": style.SMALL}
_LEGEND = (
    "Gain in pixel AP on held-out base defects over the real images alone, and its standard error. "
    f"'{MOVED}' is the null test: it must not gain."
)


def draw_engines(choice: pd.DataFrame, trials: pd.DataFrame) -> Figure:
    """Draw a panel per type: a line per candidate, with the share of the images that it makes.

    Args:
        choice: The table `engine_choice`.
        trials: The table `engine_trials`.
    """
    found = trials[trials["candidate"] != REAL].dropna(subset="gain")
    if found.empty:
        return style.empty_figure("No engine was tried: synthesis.engine names one")
    kinds = list(found.groupby(["category", "defect_type"], sort=False).groups)
    names = [*choice["engine"].unique(), ALL, MOVED]
    rows = -(-len(kinds) // 2)
    figure = Figure(figsize=(11, 1.6 + rows * (0.7 + _ROW * len(names))), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True)
    alone = trials[trials["candidate"] == REAL].set_index(["category", "defect_type"])["ap"]
    shares = choice.set_index(["category", "defect_type", "engine"])["share"]
    for ax, kind in zip(axes.flat, kinds, strict=False):
        mine = found[(found["category"] == kind[0]) & (found["defect_type"] == kind[1])]
        mine = mine.set_index("candidate").reindex(names)
        for place, (name, row) in enumerate(mine.iterrows()):
            share = shares.get((*kind, name), float("nan"))
            colour = style.GREY if pd.isna(share) or not share else style.BLACK
            ax.errorbar(row["gain"], place, xerr=row["error"], fmt="o", color=colour, capsize=2)
            if pd.notna(share):
                said = f"{share:.0%} of the images"
                ax.text(1.01, place, said, transform=ax.get_yaxis_transform(), **_SMALL)
        ax.axvline(0, color=style.GREY, linewidth=1)
        ax.set_yticks(range(len(names)), names, fontsize=style.SMALL)
        ax.tick_params(labelbottom=True, labelleft=True, labelsize=style.SMALL)
        ax.set_title(f"{kind[0]}, {kind[1]}: {alone[kind]:.2f} with real images alone", fontsize=9)
    axes[0, 0].invert_yaxis()
    for ax in axes.flat[len(kinds) :]:
        ax.set_visible(False)
    figure.supxlabel(_LEGEND, fontsize=style.SMALL)
    style.title(figure, "Which engine helps which type, asked of the base images alone")
    return figure
