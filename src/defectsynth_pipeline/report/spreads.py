"""The spreads of one type as a picture: bars are synthetic defects, ticks are real ones."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from defectsynth_pipeline.figures import style
from defectsynth_pipeline.report.distributions import Distributions

_BINS = 18
_DECADES = 30  # ratio of the largest to the smallest area from which the axis is logarithmic
_HEAT = LinearSegmentedColormap.from_list("places", ["#f4f4f4", style.BLUE])


def draw_spreads(found: Distributions) -> Figure:
    """Draw area, contrast and direction of a type's defects, and two maps of where they lie."""
    real, made = found.real, found.synthetic
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 6)
    nothing = np.array([])
    _bars(
        figure.add_subplot(grid[0, :3]),
        ("Size", "area of the defect, % of the image"),
        real.areas,
        made.areas if made else nothing,
        share=True,
    )
    _bars(
        figure.add_subplot(grid[0, 3:]),
        ("Contrast", "difference to the surroundings, share of white"),
        real.contrasts,
        made.contrasts if made else nothing,
    )
    _bars(
        figure.add_subplot(grid[1, :2]),
        ("Direction", "degrees, of long defects"),
        real.angles,
        made.angles if made else nothing,
        limits=(-90, 90),
    )
    _places(figure.add_subplot(grid[1, 2:4]), f"Places of {real.images} real", real.places)
    if made:
        title = f"Places of {made.images} synthetic"
        _places(figure.add_subplot(grid[1, 4:]), title, made.places)
    return figure


def _bars(
    ax: Axes,
    names: tuple[str, str],
    real: np.ndarray,
    made: np.ndarray,
    *,
    share: bool = False,
    limits: tuple[float, float] | None = None,
) -> None:
    style.clean(ax, *names)
    ax.set_ylabel("synthetic images", fontsize=style.SMALL)
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    real, made = (100 * values if share else values for values in (real, made))
    every = np.concatenate([real, made])
    if not len(every):
        ax.text(0.5, 0.5, "none", ha="center", va="center", transform=ax.transAxes)
        ax.set(xticks=[], yticks=[])
        return
    low, high = limits or (every.min(), every.max())
    log = share and high > _DECADES * low
    space = np.geomspace if log else np.linspace
    edges = space(low, high * (1 + 1e-9) + 1e-9, _BINS).tolist()
    ax.hist(made, bins=edges, color=style.SKY)
    if log:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(style.plain_number)
        ax.xaxis.set_minor_formatter(style.plain_number)
        ax.set_xlabel(f"{names[1]} (log scale)", fontsize=style.SMALL)
    elif limits:
        ax.set_xticks([-90, -45, 0, 45, 90])
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5))
    for value in real:
        ax.axvline(value, ymax=0.18, color=style.VERMILLION, linewidth=1.6)


def _places(ax: Axes, title: str, places: np.ndarray) -> None:
    ax.imshow(places, cmap=_HEAT, vmin=0, vmax=max(float(places.max()), 1e-9))
    ax.set_title(title, fontsize=style.NORMAL, loc="left")
    ax.set(xticks=[], yticks=[])
