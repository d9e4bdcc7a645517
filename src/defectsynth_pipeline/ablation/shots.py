"""How much a few more real defects bring: quality and the detectors' gain over their number."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pandas as pd

from defectsynth_pipeline.ablation.judging import OURS
from defectsynth_pipeline.ablation.rating import Place, Rating, Reference
from defectsynth_pipeline.corpora.shots import keep_shots
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features.extractors import Extractor
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import AblationOptions
from defectsynth_pipeline.schemas import SCHEMAS, own_columns
from defectsynth_pipeline.verdict.comparison import is_primary
from defectsynth_pipeline.verdict.quality import MEASURES
from defectsynth_pipeline.verdict.seen import DEFECT

_log = logging.getLogger(__name__)
_TYPE = ["category", "defect_type"]


def shot_samples(
    samples: pd.DataFrame, options: AblationOptions, seed: int
) -> list[tuple[str, pd.DataFrame]]:
    """Return the samples of every point of the curve, few images first, each by its name.

    A number of shots keeps what a smaller one keeps (`corpora.shots`), and all have the same test
    set. One that no type has more images than is the same as "all" and left out.

    Args:
        samples: The table `samples`, whole.
        options: Which numbers, which categories.
        seed: Of ingest, so that a point is what `ingest.shots` gives.

    Raises:
        InputError: There is no such category.
    """
    wanted = options.shots_categories or sorted(set(samples["category"]))
    for name in wanted:
        if name not in set(samples["category"]):
            raise InputError(
                "there is no such category",
                file="ablation.shots_categories",
                value=name,
                remedy=f"use some of {', '.join(sorted(set(samples['category'])))}",
            )
    mine = samples[samples["category"].isin(wanted)].reset_index(drop=True)
    most = int(mine[mine["split"] == "base"].groupby(_TYPE).size().max())
    numbers = {str(name): most if name == "all" else int(name) for name in options.shots}
    kept: dict[int, str] = {}
    for name, number in sorted(numbers.items(), key=lambda pair: pair[::-1]):
        if (shown := min(number, most)) in kept:
            _log.info("%s shots are %s: no type has more", name, kept[shown])
        kept[shown] = "all" if shown == most and "all" in numbers else name
    return [(name, keep_shots(mine, number, seed)) for number, name in sorted(kept.items())]


def shots_curve(
    points: Mapping[str, pd.DataFrame],
    quality: Mapping[str, pd.DataFrame],
    reports: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Return the table `shots_curve`.

    A row per point, type and measure; of the detectors one for each arm, and one for the
    difference to each control (`against`), with intervals. `base_images` are those of the type,
    over all types their mean. Of points at which a type has as many images the last stands.

    Args:
        points: Samples by the name of a point.
        quality: From `quality_rows` by the same.
        reports: From `compare_sets` by the same.
    """
    tables = []
    for name, samples in points.items():
        counts = samples[samples["split"] == "base"].groupby(_TYPE).size()
        every = pd.concat([quality[name], _gains(reports[name])], ignore_index=True)
        of_type = pd.Series(zip(every["category"], every["defect_type"], strict=True)).map(counts)
        mean = every["category"].map(counts.groupby("category").mean())
        tables.append(every.assign(shots=name, base_images=of_type.fillna(mean).astype(float)))
    table = pd.concat(tables, ignore_index=True).reindex(columns=own_columns("shots_curve"))
    single = ["category", "defect_type", "base_images", "measure", "arm", "against"]
    table = table.drop_duplicates(single, keep="last").reset_index(drop=True)
    text = [name for name, kind in SCHEMAS["shots_curve"].columns.items() if kind == "str"]
    return table.fillna(dict.fromkeys(text, ""))


def quality_rows(
    ratings: Mapping[Place, Rating],
    references: Mapping[Place, Reference],
    images: ImageSet,
    extractor: Extractor,
) -> pd.DataFrame:
    """Return a row per type and measure of a set, inside the defect, for `shots_curve`."""
    lines = []
    for place, rating in ratings.items():
        rows = images.manifest
        made = ((rows["category"] == place[0]) & (rows["defect_type"] == place[1])).sum()
        told = {"corpus": references[place].corpus, **dict(zip(_TYPE, place, strict=True))}
        told |= {"n_synthetic": made, "arm": OURS, "against": "", "extractor": extractor.name}
        values = rating.values[DEFECT]
        lines += [
            told | {"measure": name, "value": values[name], "note": values["note"]}
            for name in MEASURES
        ]
    return pd.DataFrame(lines)


def _gains(report: pd.DataFrame) -> pd.DataFrame:
    """The metric that a verdict rests on: of every arm, and of ours against the controls."""
    mine = report[is_primary(report)].rename(columns={"metric": "measure"})
    levels = mine[mine["against"] == ""]
    gains = mine[(mine["against"] != "") & (mine["arm"] == OURS)]
    gains = gains.assign(
        value=gains["difference"], low=gains["difference_low"], high=gains["difference_high"]
    )
    return pd.concat([levels, gains], ignore_index=True)
