"""What the certificate lets pass: real base defects, and every kind of image that is none."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from defectsynth_pipeline.certificate.nulls import KINDS, OTHER, REAL, SPOILT
from defectsynth_pipeline.corpora.columns import ALL_TYPES
from defectsynth_pipeline.figures import style

_CELL = (0.95, 0.3)  # inches
_WRONG = 0.35  # share at which a cell is darkest
_LEGEND = "Real ones should pass (at least 90 %), of the others at most 5 %."
_STARRED = "* real defects spoilt: taught, and not counted"


def draw_certificate(test: pd.DataFrame) -> Figure:
    """Draw the share that passes as a table: a row per kind, columns per category and type.

    Args:
        test: `Certificate.test`.
    """
    if test.empty:
        return style.empty_figure("No certificate was fitted")
    columns = dict(_columns(test))
    shares = pd.DataFrame(columns).reindex([REAL, OTHER, *KINDS]).dropna(how="all")
    wrong = shares.where(shares.index.to_series() != REAL, 1 - shares)
    size = (2.2 + _CELL[0] * len(columns), 1.8 + _CELL[1] * len(shares))
    figure = Figure(figsize=(max(7.5, size[0]), size[1]), layout="constrained")
    ax = figure.add_subplot()
    ax.imshow(wrong, cmap="Reds", vmin=0, vmax=_WRONG, aspect="auto")
    for row, kind in enumerate(shares.index):
        for column, name in enumerate(columns):
            if pd.notna(share := shares.loc[kind, name]):
                colour = "white" if wrong.loc[kind, name] > _WRONG / 2 else style.BLACK
                text = ax.text(column, row, f"{share:.1%}", color=colour, fontsize=style.SMALL)
                text.set(ha="center", va="center")
    ax.xaxis.tick_top()
    ax.set_xticks(range(len(columns)), columns, fontsize=style.SMALL)
    ax.set_yticks(range(len(shares)), map(_named, shares.index), fontsize=style.SMALL)
    ax.axhline(0.5, color=style.BLACK, linewidth=1)
    categories = [name.split("\n")[0] for name in columns]
    for place in range(1, len(categories)):
        if categories[place] != categories[place - 1]:
            ax.axvline(place - 0.5, color=style.BLACK, linewidth=1)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(f"{_LEGEND} {_STARRED}", fontsize=style.SMALL)
    style.title(figure, "What passes the certificate, each image judged without itself")
    return figure


def _columns(test: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Heading and shares by kind: all types first, unless there is one only."""
    for (_, category), rows in test.groupby(["corpus", "category"], sort=False):
        types = sorted(set(rows["defect_type"]) - {ALL_TYPES})
        for name in [ALL_TYPES, *types] if len(types) > 1 else types:
            found = rows[rows["defect_type"] == name].set_index("kind")
            what = "all types" if name == ALL_TYPES else name
            heading = f"{category}\n{what}\n{found.loc[REAL, 'windows']} real"
            yield heading, found["passed"]


def _named(kind: str) -> str:
    words = {REAL: "real defects", OTHER: "another type's defect"}.get(kind, kind)
    return words.replace("_", " ") + "*" * (kind in SPOILT)
