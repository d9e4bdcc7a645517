"""Tables V and VI on any corpus: what each row's images are like, and what a detector learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.ablation.rating import Place, Rating, Reference, kid_draws
from defectsynth_pipeline.ablation.rows import ALL, Row
from defectsynth_pipeline.corpora.columns import ALL_TYPES
from defectsynth_pipeline.features.extractors import Extractor
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.measures.resampling import interval
from defectsynth_pipeline.schemas import own_columns
from defectsynth_pipeline.verdict.comparison import is_primary
from defectsynth_pipeline.verdict.paper_tables import paper_corpus
from defectsynth_pipeline.verdict.quality import MEASURES
from defectsynth_pipeline.verdict.seen import REGIONS

ASSET = Path(__file__).parents[1] / "assets" / "paper_ablation.csv"
CONFIDENCE = 0.95
AVERAGE = "average"  # over categories
_OF_TASK = {"classification": "macro_f1", "localization": "pixel_ap"}
_COUNTS = ("n_generated", "n_real")


@dataclass(frozen=True)
class Measured:
    """A row with what was measured of its images.

    Attributes:
        row: Which.
        same_as: The first row that has the same images; "" if it is this one.
        ratings: By type.
        accepted: Share of the images that the certificate lets pass, by type.
        changed: Change of a pixel against `all`, levels of 255, by type; nan where masks differ.
    """

    row: Row
    same_as: str
    ratings: Mapping[Place, Rating]
    accepted: Mapping[Place, float]
    changed: Mapping[Place, float]


def ablation_table(
    measured: Sequence[Measured],
    references: Mapping[Place, Reference],
    extractor: Extractor,
    report: pd.DataFrame,
) -> pd.DataFrame:
    """Return the table `ablation_table`.

    A line per row of the ablation, region and type, then means over the types of a category
    (defect type "all") and over categories ("average"). `kid_difference` is to `all`, with an
    interval over images (`rating.kid_draws`); `note` says where it is within chance.

    Args:
        measured: `all` first.
        references: Real images by type.
        extractor: What saw them.
        report: From `judging.compare_sets`; its rows against `all` are taken; may be empty.
    """
    lines = [
        {**line, **one.row.told(), "same_as": one.same_as}
        for one in measured
        for region in REGIONS
        for line in _lines(one, measured[0], references, region)
    ]
    table = pd.DataFrame(lines).assign(extractor=extractor.name, distance=extractor.distance)
    table = _with_detectors(table, report)
    table = _beside_paper(table, extractor)
    table["note"] = [_note(line) for line in table.to_dict("records")]
    return table.reindex(columns=own_columns("ablation_table"))


def _lines(
    one: Measured, whole: Measured, references: Mapping[Place, Reference], region: str
) -> Iterator[dict[str, Any]]:
    """Lines of every type, category and, of several categories, their mean."""
    draws, values = {}, {}
    for place, rating in one.ratings.items():
        reference, other = references[place], whole.ratings[place]
        real = reference.images.features[region]
        mine, theirs = rating.features[region], other.features[region]
        draws[place] = kid_draws(real, mine, theirs, counter_seed(*place))
        told = {name: rating.values[region][name] for name in (*MEASURES, "kid_std", *_COUNTS)}
        told |= {"accepted": one.accepted[place], "changed": one.changed[place]}
        values[place] = told | {"corpus": reference.corpus}
    categories = {name: [p for p in values if p[0] == name] for name, _ in values}
    groups = [((category, kind), [(category, kind)]) for category, kind in values]
    groups += [((name, ALL_TYPES), places) for name, places in categories.items()]
    if len(categories) > 1:
        groups.append((("", AVERAGE), list(values)))
    for (category, kind), places in groups:
        weights = np.array([1 / len(categories[p[0]]) for p in places])
        if category:
            weights = np.ones(len(places))
        mean = _mean([values[p] for p in places], weights / weights.sum())
        found = np.average([draws[p] for p in places], axis=0, weights=weights)
        low, high = interval(found[1:], CONFIDENCE)
        yield {
            **mean,
            "corpus": values[places[0]]["corpus"] if category else "",
            "category": category or AVERAGE,
            "defect_type": kind if category else ALL_TYPES,
            "region": region,
            **({} if one is whole else _difference(found[0], low, high)),
        }


def _difference(value: float, low: float, high: float) -> dict[str, float]:
    return {"kid_difference": value, "kid_low": low, "kid_high": high}


def _mean(values: Sequence[Mapping[str, Any]], weights: np.ndarray) -> dict[str, Any]:
    """Weighted mean of every measure, nan where a type lacks it; counts are added up."""
    names = [name for name in values[0] if name not in (*_COUNTS, "corpus")]
    mean: dict[str, Any] = {n: float(weights @ [v[n] for v in values]) for n in names}
    return mean | {name: sum(v[name] for v in values) for name in _COUNTS}


def _with_detectors(table: pd.DataFrame, report: pd.DataFrame) -> pd.DataFrame:
    """The primary metric of both tasks and its difference to `all`, on lines of the same type."""
    primary = report[is_primary(report)] if len(report) else report
    keys = ["row", "corpus", "category", "defect_type"]
    for task, name in _OF_TASK.items():
        mine = primary[primary["task"] == task].rename(columns={"arm": "row"})
        level = mine[mine["against"] == ""].drop_duplicates(keys).set_index(keys)["value"]
        gap = mine[mine["against"] == ALL].drop_duplicates(keys).set_index(keys)
        gap = gap[["difference", "difference_low", "difference_high"]].add_prefix(f"{name}_")
        made = table["row"].where(table["same_as"] == "", table["same_as"])
        index = pd.MultiIndex.from_frame(table[keys].assign(row=made))
        table = table.assign(**{name: level.reindex(index).to_numpy()})
        table[list(gap)] = gap.reindex(index).to_numpy()
        # What has the images of `all` differs from it by nothing.
        table.loc[(table["same_as"] == ALL) & table[name].notna(), list(gap)] = 0.0
    return table


def _beside_paper(table: pd.DataFrame, extractor: Extractor) -> pd.DataFrame:
    """The paper's numbers, which are of wood: only where corpus and extractor are its own."""
    paper = pd.read_csv(ASSET).set_index("row").add_prefix("paper.")
    known = table["corpus"].map(paper_corpus).eq("mvtec") & table["category"].eq("wood")
    known &= table["defect_type"].eq(ALL_TYPES) & table["region"].eq("whole")
    rows = table["row"].where(known & extractor.of_paper, "")
    return table.assign(**paper.reindex(rows).reset_index(drop=True))


def _note(line: Mapping[str, Any]) -> str:
    """What a line shows, in words."""
    if line["same_as"]:
        return f"the same images as {line['same_as']}"
    low, high = line.get("kid_low", np.nan), line.get("kid_high", np.nan)
    if np.isnan(low) or np.isnan(high):
        return ""
    if low == high == 0:
        return "the same images as all: these masks are made in one way"
    if low <= 0 <= high:
        return "KID no different from all, within what these images can show"
    return "KID better than all" if high < 0 else "KID worse than all"
