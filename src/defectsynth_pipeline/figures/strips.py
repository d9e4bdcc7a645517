"""Real beside generated, a strip per defect type: whole parts and crops, each with its name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Patch

from defectsynth_pipeline.appearance.engines import Tried
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.figures.previews import (
    contact_sheet,
    looks,
    spread,
)
from defectsynth_pipeline.imagesets import ImageSet

_GAP = 4  # px between the tiles of a contact sheet
_LINES = 4  # of a caption
_LETTERS = 21  # of a line of a caption, in a tile of 132 px


class Strip(NamedTuple):
    """What is shown of one defect type.

    Attributes:
        title: Above it.
        columns: Per image its tiles, from the top down; the same number in each.
        captions: Per image what stands below it, lines.
        real: How many of the first are real: they have a frame.
    """

    title: str
    columns: list[list[np.ndarray]]
    captions: list[list[str]]
    real: int


def draw_real_and_synthetic(
    samples: pd.DataFrame, images: ImageSet, *, real: int = 2, each: int = 2
) -> Figure:
    """Per type: real base samples in a frame, then the best, median and worst published images.

    Each from the top down: the whole part with a box where the crop is, the crop, and the crop with
    its mask outlined. A type of which nothing was published has its real ones alone.
    """
    strips = []
    every = pd.concat([images.manifest, images.rejected])
    for category, kind, originals, _ in _types(samples, every, real):
        published = images.manifest[
            (images.manifest["category"] == category) & (images.manifest["defect_type"] == kind)
        ]
        columns = [looks(one.image(), one.mask()) for one in originals]
        captions = [["real", *_lines(PurePosixPath(one.sample_id).name)] for one in originals]
        for heading, rows in best_median_worst(published, each).items():
            for row in rows.to_dict("records"):
                name = str(row["image_id"])
                columns.append(looks(images.array(name, "image"), images.array(name, "mask")))
                told = f"{row['verdict']} {row['certainty']:.2f}"
                captions.append([f"{heading}: {told}", *_lines(name)])
        title = f"{category} / {kind}: {len(originals)} real, " + (
            f"then the surest, middle and least sure of {len(published)} by the certificate"
            if len(published)
            else "no synthetic image was published"
        )
        strips.append(Strip(title, columns, captions, len(originals)))
    return _stacked(strips, side=128)


def draw_drafts(
    samples: pd.DataFrame, drafts: Mapping[str, Sequence[Tried]], *, real: int = 2
) -> Figure:
    """Per type: real base samples in a frame, then first attempts that nobody judged.

    Args:
        samples: The table `samples`.
        drafts: By category, as `appearance.first_look` gives them.
        real: Base samples shown per type.
    """
    strips = []
    for category, tried in drafts.items():
        types = pd.DataFrame({"category": category, "defect_type": [t.defect_type for t in tried]})
        for _, kind, originals, _ in _types(samples, types, real):
            columns = [looks(one.image(), one.mask()) for one in originals]
            captions = [["real", *_lines(PurePosixPath(one.sample_id).name)] for one in originals]
            for draft in tried:
                if draft.defect_type == kind:
                    columns.append(looks(draft.image, draft.mask))
                    captions.append([f"draft: {draft.engine}"])
            title = f"{category} / {kind}: {len(originals)} real, then drafts without a network"
            strips.append(Strip(title, columns, captions, len(originals)))
    return _stacked(strips, side=128)


def draw_real_and_generated_masks(
    samples: pd.DataFrame, masks: ImageSet, *, real: int = 3, generated: int = 6
) -> Figure:
    """Whole masks, per type: real base masks in a frame, then generated ones of every way.

    Below each generated one the way it was made and the stems of its parents.
    """
    strips = []
    for category, kind, originals, made in _types(samples, masks.manifest, real):
        chosen = _of_every_way(made, generated).to_dict("records")
        columns = [[one.mask()] for one in originals]
        columns += [[masks.array(str(row["image_id"]), "mask")] for row in chosen]
        captions = [["real", *_lines(PurePosixPath(one.sample_id).name)] for one in originals]
        captions += [_pedigree(row) for row in chosen]
        ways = made["way"].value_counts() if "way" in made else pd.Series(dtype=int)
        counted = ", ".join(f"{count} {way}" for way, count in ways.items())
        title = f"{category} / {kind}: {len(originals)} real, then {counted or 'generated'}"
        strips.append(Strip(title, columns, captions, len(originals)))
    return _stacked(strips, side=128)


def best_median_worst(published: pd.DataFrame, count: int) -> dict[str, pd.DataFrame]:
    """Rows of a manifest by heading, from the surest down; none is shown twice.

    Args:
        published: With the column certainty.
        count: Rows per heading, fewer where there are not as many.
    """
    ranked = published.sort_values("certainty", ascending=False, kind="stable")
    count = min(count, -(-len(ranked) // 3))
    middle = (len(ranked) - count) // 2
    places = {"best": range(count), "median": range(middle, middle + count)}
    places["worst"] = range(len(ranked) - count, len(ranked))
    taken: set[int] = set()
    found = {}
    for heading, wanted in places.items():
        fresh = [place for place in wanted if place not in taken]
        taken.update(fresh)
        if fresh:
            found[heading] = ranked.iloc[fresh]
    return found


def _types(
    samples: pd.DataFrame, manifest: pd.DataFrame, real: int
) -> Iterator[tuple[str, str, list[Sample], pd.DataFrame]]:
    """Category, type, a few base samples and the rows of every defect type in the manifest."""
    base = samples[samples["split"] == "base"]
    for key, rows in manifest.groupby(["category", "defect_type"], sort=True):
        category, kind = cast("tuple[str, str]", key)
        originals = base[(base["category"] == category) & (base["defect_type"] == kind)]
        yield category, kind, list(each_sample(spread(originals, real))), rows


def _of_every_way(made: pd.DataFrame, count: int) -> pd.DataFrame:
    """Rows spread over the ways that masks were made, the most used ways first."""
    if "way" not in made:
        return spread(made, count)
    ways = list(made["way"].value_counts().index[:count])
    shares = [count // len(ways) + (place < count % len(ways)) for place in range(len(ways))]
    parts = [spread(made[made["way"] == w], n) for w, n in zip(ways, shares, strict=True)]
    return pd.concat(parts)


def _pedigree(row: dict[str, object]) -> list[str]:
    """The way a mask was made and the stems of its parents, one of a copy."""
    stems = [PurePosixPath(parent).name for parent in str(row.get("parents", "")).split("|")]
    return [str(row.get("way", "generated")), *_lines(" + ".join(dict.fromkeys(stems)))]


def _lines(name: str) -> list[str]:
    """A name in lines that fit below a tile; of a long one the end, which tells names apart."""
    found = textwrap.wrap(name, _LETTERS, break_on_hyphens=True)
    return found if len(found) < _LINES else ["…", *found[1 - _LINES :]]


def _stacked(strips: Sequence[Strip], side: int) -> Figure:
    """One titled strip per type, at the pixels of its tiles."""
    pitch, line = side + _GAP, 13
    wide = max(len(strip.columns) for strip in strips) * pitch
    heights = [
        len(strip.columns[0]) * pitch + line * max(map(len, strip.captions)) + 40
        for strip in strips
    ]
    figure = Figure(figsize=((wide + 20) / 100, (sum(heights) + 10) / 100), dpi=100)
    top = sum(heights) + 10
    for strip, height in zip(strips, heights, strict=True):
        rows, columns = len(strip.columns[0]), len(strip.columns)
        tiles = [column[row] for row in range(rows) for column in strip.columns]
        sheet = contact_sheet(tiles, columns=columns, side=side)
        place = (10, top - 26 - sheet.shape[0], sheet.shape[1], sheet.shape[0])
        scale = (wide + 20, sum(heights) + 10) * 2
        ax = figure.add_axes(tuple(value / of for value, of in zip(place, scale, strict=True)))
        ax.imshow(sheet)
        ax.set_axis_off()
        ax.set_title(strip.title, fontsize=style.NORMAL, loc="left", pad=5)
        for column, lines in enumerate(strip.captions):
            ax.text(
                column * pitch + 2,
                sheet.shape[0] + 4,
                "\n".join(lines),
                fontsize=6.5,
                family="monospace",
                va="top",
                color=style.GREEN if column < strip.real else style.BLACK,
            )
        size = (strip.real * pitch, sheet.shape[0])
        frame = Patch((-0.5, -0.5), *size, fill=False, edgecolor=style.GREEN, linewidth=3)
        if strip.real:
            ax.add_patch(frame).set_clip_on(False)
        top -= height
    return figure
