"""One look for all figures: colours that stay apart for every eye, the same per arm everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from defectsynth_pipeline.verdict.comparison import CANNOT_JUDGE, HARMS, NO_EVIDENCE, PAYS

# A name may hold "$"; nothing drawn here is a formula.
mpl.rcParams["text.parse_math"] = False

Dash: TypeAlias = Literal["-", "--", ":", "-."]
Colour: TypeAlias = tuple[int, int, int]  # of a pixel

# Okabe and Ito, "Color Universal Design", 2008.
BLACK, GREY = "#000000", "#8c8c8c"
ORANGE, SKY, GREEN, BLUE = "#E69F00", "#56B4E9", "#009E73", "#0072B2"
VERMILLION, PURPLE = "#D55E00", "#CC79A7"

# Lines drawn into pictures; TRUTH is far from every colour of a heat map, and from grey.
OUTLINE: Colour = (255, 40, 40)
TRUTH: Colour = (0, 255, 255)
BOX: Colour = (255, 200, 0)

VERDICTS = {
    PAYS: (BLUE, "^"),
    NO_EVIDENCE: (GREY, "o"),
    CANNOT_JUDGE: (GREY, "x"),
    HARMS: (VERMILLION, "v"),
}
_ARMS = {
    "base": BLACK,
    "normals_only": GREY,
    "geometric": GREEN,
    "photometric": PURPLE,
    "crop_paste": ORANGE,
    "crop_paste_matched": VERMILLION,
    "exemplar": SKY,
    "defectsynth": BLUE,
}
_SPARE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_DASHES: tuple[Dash, ...] = ("--", ":", "-.")
SMALL, NORMAL = 8, 9


class Stroke(NamedTuple):
    """How an arm's line looks."""

    colour: str
    dash: Dash


def strokes(arms: Iterable[str]) -> dict[str, Stroke]:
    """A colour per arm; arms without one of their own share colours, dashed each its own way."""
    names = list(dict.fromkeys(arms))
    result = {name: Stroke(_ARMS[name], "-") for name in names if name in _ARMS}
    for place, name in enumerate(name for name in names if name not in _ARMS):
        turn, colour = divmod(place, len(_SPARE))
        result[name] = Stroke(_SPARE[colour], _DASHES[turn % len(_DASHES)])
    return result


def whole_arms(arms: Iterable[str]) -> list[str]:
    """Arms in order without the points `a@n` of a ratio curve, unless there is nothing else."""
    names = list(dict.fromkeys(arms))
    return [name for name in names if "@" not in name] or names


def lines_of(arms: Iterable[str]) -> list[Line2D]:
    """Entries of a legend for the arms' strokes."""
    return [
        Line2D([], [], color=stroke.colour, linestyle=stroke.dash, label=arm)
        for arm, stroke in strokes(arms).items()
    ]


def clean(ax: Axes, title: str, x: str, y: str = "") -> None:
    """Name a panel and its axes, take away its upper and right side, lay a faint grid below."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=SMALL)
    ax.set_title(title, fontsize=NORMAL, loc="left")
    ax.set_xlabel(x, fontsize=SMALL)
    ax.set_ylabel(y, fontsize=SMALL)


def plain_number(value: float, place: float = 0) -> str:
    """A label of a logarithmic axis: at 1, 2 and 5 times a power of ten, without an exponent."""
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return text if text.strip("0.") in ("1", "2", "5") else ""


def power_of_ten(value: float, place: float = 0) -> str:
    """A label of a logarithmic axis over many powers of ten; matplotlib's own is a formula."""
    return f"{value:g}"


def title(figure: Figure, text: str) -> None:
    """Say above all panels what the figure shows."""
    figure.suptitle(text, fontsize=NORMAL + 1, fontweight="bold")


def legend_below(figure: Figure, handles: Sequence[Line2D | Patch]) -> None:
    """One legend for all panels, under them."""
    columns = min(len(handles), max(1, int(figure.get_figwidth() // 1.8)))
    figure.legend(
        handles=list(handles),
        loc="outside lower center",
        ncols=columns,
        fontsize=NORMAL,
        frameon=False,
    )


def empty_figure(text: str) -> Figure:
    """A figure that says why there is nothing to see."""
    figure = Figure(figsize=(6, 1.2), layout="constrained")
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=NORMAL)
    return figure
