"""What each idea is worth, what it costs, and what more real defects bring."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from defectsynth_pipeline.ablation.judging import OURS
from defectsynth_pipeline.ablation.rows import ALL, STEPS, VI, V
from defectsynth_pipeline.ablation.table import AVERAGE
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.figures.previews import closeup, to_display
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.pixels import crop
from defectsynth_pipeline.verdict.comparison import ALL as ALL_TYPES
from defectsynth_pipeline.verdict.comparison import METRIC_NAMES
from defectsynth_pipeline.verdict.seen import DEFECT

_NAMES = {
    "kid_difference": "KID x 10^3 less that of all\n(below 0: better)",
    "ic_distance": "diversity\n(distance within clusters)",
    "mask_iou": "mask IoU\n(with what changed)",
    "accepted": "share that the\ncertificate accepts",
    "macro_f1_difference": "macro F1 less that of all\n(above 0: better)",
    "pixel_ap_difference": "pixel AP less that of all\n(above 0: better)",
    "kid": "KID x 10^3 (lower: better)",
}
_INTERVALS = {
    "kid_difference": ("kid_low", "kid_high"),
    **{
        f"{n}_difference": (f"{n}_difference_low", f"{n}_difference_high")
        for n in ("macro_f1", "pixel_ap")
    },
}
_COLOURS = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY)
_TILE, _LEAST = 112, 48  # px of a picture, and of the window that it shows at least
_LETTERS = 24  # of a title, above a tile


def draw_ablation(table: pd.DataFrame) -> Figure:
    """Draw the rows of Tables V and VI and of the steps, a panel per measure.

    Marks in colours are categories, black ones their mean; intervals are of the difference.
    """
    mine = table[(table["region"] == DEFECT) & (table["defect_type"] == ALL_TYPES)]
    if mine.empty:
        return style.empty_figure("No rows were made: ablation.parts leaves out table")
    names = [name for name in _NAMES if name != "kid" and mine[name].notna().any()]
    rows = list(dict.fromkeys(zip(mine["table"], mine["row"], strict=True)))
    places = {row: i + _gap(row[0]) for i, row in enumerate(rows)}
    categories = [c for c in mine["category"].unique() if c != AVERAGE]
    figure = Figure(figsize=(3.1 * len(names) + 1.6, 0.34 * len(rows) + 2.2), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    looks = dict(zip(categories, cycle(_COLOURS), strict=False))
    for ax, name in zip(axes, names, strict=True):
        style.clean(ax, "", _NAMES[name])
        ax.locator_params(axis="x", nbins=4)
        for category, own in mine.groupby("category", sort=False):
            several = len(categories) > 1
            main = category == AVERAGE or not several
            colour = style.BLACK if main else looks[category]
            shift = 0.0 if main else 0.5 * ((list(looks).index(category) + 0.5) / len(looks) - 0.5)
            _marks(ax, own, name, places, colour, shift, main=main or "difference" in name)
        if name.endswith("difference"):
            ax.axvline(0, color=style.GREY, linewidth=1)
    axes[0].set_yticks(list(places.values()), [name for _, name in rows], fontsize=style.SMALL)
    axes[0].invert_yaxis()
    counts = mine.loc[mine["category"] == mine["category"].iloc[-1], "n_generated"]
    said = f"{counts.iloc[0]} images a row; seen by {mine['extractor'].iloc[0]}, inside the defect"
    style.title(figure, f"What each idea is worth: {said}")
    if len(categories) > 1:
        marks = [*looks.items(), ("mean of the categories", style.BLACK)]
        style.legend_below(
            figure, [Line2D([], [], marker="o", ls="", color=c, label=n) for n, c in marks]
        )
    return figure


def _gap(table: str) -> float:
    """Room between the tables."""
    return {V: 0.0, VI: 0.6, STEPS: 1.2}[table]


def _marks(
    ax: Axes,
    rows: pd.DataFrame,
    name: str,
    places: Mapping[tuple[str, str], float],
    colour: str,
    shift: float,
    *,
    main: bool,
) -> None:
    """A mark per row, with its interval where the measure has one."""
    for row in rows.to_dict("records"):
        value = row[name]
        if name.endswith("difference") and row["row"] == ALL:
            continue
        if pd.isna(value):
            continue
        low, high = (row[end] for end in _INTERVALS.get(name, (name, name)))
        place = places[row["table"], row["row"]] + shift
        ax.errorbar(
            value,
            place,
            xerr=[[max(value - low, 0)], [max(high - value, 0)]] if low != high else None,
            fmt="o",
            markersize=5 if main else 3,
            capsize=2,
            color=colour,
            elinewidth=1,
        )


def draw_examples(sets: Mapping[str, ImageSet], planned: Sequence[str]) -> Figure:
    """Draw the same images of the plan as every row made them, in a window around their masks.

    Args:
        sets: Row to its images.
        planned: Ids of the plan, one column each.
    """
    size = (1.1 * len(planned) + 1.6, 1.12 * len(sets) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(sets), len(planned), squeeze=False)
    for line, (name, images) in zip(axes, sets.items(), strict=True):
        rows = images.manifest.set_index("planned")
        for ax, plan_id in zip(line, planned, strict=True):
            ax.set_xticks([])
            ax.set_yticks([])
            row = rows.loc[plan_id]
            picture, mask = (images.array(row["image_id"], n) for n in ("image", "mask"))
            window = closeup(mask, least=_LEAST)
            ax.imshow(crop(to_display(picture), window, _TILE).round().astype(np.uint8))
            colour = style.VERMILLION if row["verdict"] == "rejected" else style.GREY
            for side in ax.spines.values():
                side.set(color=colour, linewidth=1.5)
        line[0].set_ylabel(name.replace("_", "\n"), fontsize=style.SMALL, rotation=0, ha="right")
    for ax, plan_id in zip(axes[0], planned, strict=True):
        ax.set_title(textwrap.fill(plan_id, _LETTERS), fontsize=5)
    style.title(figure, "The same images of the plan (framed: refused by the certificate)")
    return figure


def draw_cost(table: pd.DataFrame) -> Figure:
    """Draw time, memory and training of every variant as a ratio to `all`; the paper's hollow."""
    ours = table[table["device"] != ""] if len(table) else table
    if ours.empty:
        return style.empty_figure("Nothing was timed: ablation.parts leaves out cost")
    panels = {
        "seconds_per_image": "time per image",
        "seconds_per_mask": "time per mask",
        "memory_mib": "peak memory",
    }
    figure = Figure(figsize=(11, 0.36 * len(ours) + 2.0), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True)
    for ax, (name, said) in zip(axes, panels.items(), strict=True):
        style.clean(ax, said, "times that of all")
        ax.barh(range(len(ours)), ours[f"ratio.{name}"], color=style.SKY, height=0.6)
        ax.axvline(1, color=style.GREY, linewidth=1)
        for place, (ratio, value) in enumerate(zip(ours[f"ratio.{name}"], ours[name], strict=True)):
            text = f" {value:,.0f} MiB" if name == "memory_mib" else f" {value:.3f} s"
            ax.text(ratio, place, text, va="center", fontsize=style.SMALL)
        if name == "seconds_per_image":
            ax.plot(ours["paper.ratio"], range(len(ours)), "o", mfc="none", color=style.BLACK)
        ax.set_xlim(0, 1.35 * ours[f"ratio.{name}"].max())
        ax.set_yticks(range(len(ours)), ours["row"], fontsize=style.SMALL)
        ax.set_ylim(len(ours) - 0.5, -0.5)
    first = ours.iloc[0]
    style.title(
        figure,
        f"What each idea costs on {first['device']} ({first['threads']:.0f} threads); "
        f"hollow: the paper's ratio (fine-tuning {first['finetune_seconds']:.0f} s, one for all)",
    )
    return figure


def draw_shots(curve: pd.DataFrame) -> Figure:
    """Draw, per category over all types, gains of the detectors and quality over real defects."""
    if curve.empty:
        return style.empty_figure("No shots were followed: ablation.parts leaves out shots")
    categories = list(dict.fromkeys(curve["category"]))
    names = [
        n for n in ("macro_f1", "mean_pixel_ap", "kid", "ic_distance") if n in set(curve["measure"])
    ]
    figure = Figure(figsize=(3.4 * len(names), 2.9 * len(categories) + 0.7), layout="constrained")
    axes = figure.subplots(len(categories), len(names), squeeze=False)
    for line, category in zip(axes, categories, strict=True):
        mine = curve[curve["category"] == category]
        for ax, name in zip(line, names, strict=True):
            gain = name in METRIC_NAMES
            shown = f"gain in {METRIC_NAMES[name]}" if gain else _NAMES[name].replace("\n", " ")
            style.clean(ax, f"{category}\n{shown}", "real defects per type")
            (_gains if gain else _quality)(ax, mine[mine["measure"] == name])
    style.title(figure, "What more real defects bring; gains with intervals of paired differences")
    return figure


def _gains(ax: Axes, rows: pd.DataFrame) -> None:
    """Ours less each control, with its interval."""
    own = rows[(rows["defect_type"] == ALL_TYPES) & (rows["arm"] == OURS) & (rows["against"] != "")]
    looks = style.strokes(own["against"])
    ordered = own.sort_values("base_images")
    for shift, (control, points) in enumerate(ordered.groupby("against", sort=False)):
        x = points["base_images"] * (1 + 0.02 * shift)
        ends = np.array([points["value"] - points["low"], points["high"] - points["value"]])
        colour = looks[str(control)].colour
        ax.errorbar(
            x,
            points["value"],
            ends.clip(0),
            color=colour,
            marker="o",
            capsize=2,
            label=f"over {control}",
        )
    ax.axhline(0, color=style.GREY, linewidth=1)
    if len(own):
        _explained(ax, own["base_images"])
    else:
        ax.text(0.5, 0.5, "one type only", ha="center", transform=ax.transAxes)


def _quality(ax: Axes, rows: pd.DataFrame) -> None:
    """A line per defect type."""
    known = rows.dropna(subset="value").sort_values("base_images")
    for (kind, points), colour in zip(known.groupby("defect_type"), cycle(_COLOURS), strict=False):
        ax.plot(
            points["base_images"], points["value"], "o-", color=colour, label=kind, markersize=4
        )
    _explained(ax, known["base_images"])


def _explained(ax: Axes, base_images: pd.Series) -> None:
    """Numbers of photographs as they are, and what the lines are, below."""
    shown = sorted(base_images.unique())
    ax.set_xticks(shown, [f"{number:g}" for number in shown])
    ax.legend(
        fontsize=style.SMALL,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        ncols=2,
    )
