"""Generation quality of rows that share a plan: every image is seen once, differences are paired.

Of rows made from one plan, image i differs in one idea and nothing else. So the KID of a row minus
that of `all` is resampled over the images that both have, and what the draw of masks, backgrounds
and seeds does to either cancels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from defectsynth_pipeline.appearance.engines import planned_mask
from defectsynth_pipeline.arms.shown import Shown
from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.features.extractors import Extractor
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import QualityOptions
from defectsynth_pipeline.publishing import written_whole
from defectsynth_pipeline.shape.plan import file_safe
from defectsynth_pipeline.verdict.quality import measure
from defectsynth_pipeline.verdict.seen import REGIONS, Seen, joined, look

Place = tuple[str, str]  # category, defect type
RESAMPLES = 1000
_ALIKE = 12  # images per type whose pixels are compared


class Reference(NamedTuple):
    """Real images of a type.

    Attributes:
        corpus: Theirs.
        images: What generated ones are compared with.
        seeds: Of the base images, by region: generated images are clustered around them.
    """

    corpus: str
    images: Seen
    seeds: dict[str, Tensor]


@dataclass(frozen=True)
class Rating:
    """A type's images of a row, measured.

    Attributes:
        values: By region: the measures of `verdict.quality`, and why one is missing (`note`).
        features: By region, float32 (N, D), in the plan's order.
    """

    values: dict[str, dict[str, Any]]
    features: dict[str, Tensor]

    def save(self, folder: Path) -> None:
        """Write values.json and features.npz."""
        text = json.dumps(self.values, indent=1) + "\n"
        (folder / "values.json").write_text(text, encoding="utf-8")
        arrays: dict[str, Any] = {name: found.numpy() for name, found in self.features.items()}
        np.savez(folder / "features.npz", **arrays)

    @classmethod
    def load(cls, folder: Path) -> Rating:
        """Read what `save` wrote."""
        with np.load(folder / "features.npz") as arrays:
            features = {name: torch.from_numpy(arrays[name]) for name in arrays}
        return cls(json.loads((folder / "values.json").read_text(encoding="utf-8")), features)


def see_references(
    samples: pd.DataFrame, extractor: Extractor, options: QualityOptions
) -> dict[Place, Reference]:
    """See the real images of every type that has base images.

    Args:
        samples: The table `samples`, whole; test images are only measured against.
        extractor: What sees them.
        options: Which splits, what sizes.
    """
    found = {}
    real = samples[(samples["defect_type"] != GOOD) & samples["split"].isin(["base", "test"])]
    for (category, kind), own in real.groupby(["category", "defect_type"], sort=True):
        seen = {
            split: look(
                (Shown(s.image(), s.mask(), None) for s in each_sample(rows)), extractor, options
            )
            for split, rows in own.groupby("split", sort=True)
        }
        if "base" in seen:
            wanted = seen if options.real == "all" else {options.real: seen.get(options.real)}
            chosen = joined([one for one in wanted.values() if one is not None] or [seen["base"]])
            corpus = str(own["corpus"].iloc[0])
            found[str(category), str(kind)] = Reference(corpus, chosen, seen["base"].vectors)
    return found


def rate(
    images: ImageSet,
    masks: ImageSet,
    samples: pd.DataFrame,
    references: Mapping[Place, Reference],
    extractor: Extractor,
    options: QualityOptions,
    folder: Path,
) -> Iterator[tuple[Place, Rating]]:
    """Measure a set, type by type; what was measured before is read from the work folder.

    Args:
        images: All images of a plan, refused ones too.
        masks: Those of the plan: an image is seen around its mask as it was planned.
        samples: The table `samples`.
        references: From `see_references`.
        extractor: What sees them.
        options: How.
        folder: Work folder of this set, extractor and options alone.
    """
    by_id = {sample.sample_id: sample for sample in each_sample(samples)}
    for (category, kind), rows in images.manifest.groupby(["category", "defect_type"], sort=True):
        place = str(category), str(kind)
        where = folder / file_safe(*place)
        if not where.is_dir():
            reference = references[place]
            ordered = rows.sort_values("planned")
            seen = look(shown(images, masks, ordered, by_id), extractor, options, reference.seeds)
            values = {}
            for region in REGIONS:
                numbers, notes = measure(reference.images, seen, region, options)
                values[region] = numbers | {
                    "note": "; ".join(notes),
                    "n_generated": len(seen),
                    "n_real": len(reference.images),
                }
            with written_whole(where) as aside:
                aside.mkdir(parents=True)
                Rating(values, seen.features).save(aside)
        yield place, Rating.load(where)


def shown(
    images: ImageSet, masks: ImageSet, rows: pd.DataFrame, by_id: Mapping[str, Sample]
) -> Iterator[Shown]:
    """Images of some rows of a manifest with their masks as planned and their backgrounds."""

    @lru_cache(maxsize=32)
    def picture(name: str) -> np.ndarray:
        return by_id[name].image()

    for row in rows.to_dict("records"):
        background = picture(row["background"])
        told = {str(key): value for key, value in row.items()}
        mask = planned_mask(told, masks, by_id[row["reference"]].mask(), background.shape[:2])
        yield Shown(images.array(row["image_id"], "image"), mask, background)


def kid_draws(real: Tensor, mine: Tensor, other: Tensor, seed: int) -> np.ndarray:
    """Return KID x 10^3 of `mine` minus that of `other`, exact, then on every resample.

    The kernel is KID's, (x.y / D + 1)^3, and the estimate over all pairs unbiased; the real
    images' own term cancels. Real images and image i of both sides are drawn together.

    Args:
        real: float (R, D).
        mine: float (N, D).
        other: float (N, D), of the same plan, in the same order.
        seed: Of the draws.

    Returns:
        float (1 + `RESAMPLES`,).
    """
    rng = np.random.default_rng(seed)
    n, r = len(mine), len(real)
    weights = np.ones((1 + RESAMPLES, n)), np.ones((1 + RESAMPLES, r))
    for table in weights:
        size = table.shape[1]
        table[1:] = rng.multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    ends = [_distance(_kernel(a, a), _kernel(a, real), *weights) for a in (mine, other)]
    return 1e3 * (ends[0] - ends[1])


def _kernel(a: Tensor, b: Tensor) -> np.ndarray:
    return np.asarray((a.double() @ b.double().T / a.shape[1] + 1) ** 3)


def _distance(
    within: np.ndarray, across: np.ndarray, ours: np.ndarray, theirs: np.ndarray
) -> np.ndarray:
    """The terms of KID that hold generated images (S,), by weights (S, N) and (S, R)."""
    off = within - np.diag(np.diag(within))
    pairs = ours.sum(1) ** 2 - (ours**2).sum(1)
    pairs[pairs == 0] = np.nan  # of few images one may be drawn every time
    own = np.einsum("sn,nm,sm->s", ours, off, ours, optimize=True) / pairs
    cross = np.einsum("sn,nr,sr->s", ours, across, theirs, optimize=True)
    return np.asarray(own - 2 * cross / (ours.sum(1) * theirs.sum(1)))


def pixels_changed(mine: ImageSet, other: ImageSet, kind: Place) -> float:
    """Mean change of a pixel inside the mask between two rows of one plan, in levels of 255.

    nan where the rows do not have the same masks on the same backgrounds.
    """
    columns = ["mask", "background", "reference", "angle", "dy", "dx"]
    tables = [_of(one, kind).set_index("planned") for one in (mine, other)]
    if not tables[0][columns].equals(tables[1][columns]):
        return float("nan")
    changes: list[float] = []
    for planned in tables[0].index[:_ALIKE]:
        pictures = [
            one.array(table.loc[planned, "image_id"], "image")
            for one, table in zip((mine, other), tables, strict=True)
        ]
        change = np.abs(pictures[0].astype(float) - pictures[1].astype(float))
        change = change if change.ndim == 2 else change.mean(-1)
        white = np.iinfo(pictures[0].dtype).max / 255
        inside = mine.array(tables[0].loc[planned, "image_id"], "mask")
        changes.append(float(change[inside].mean() / white))
    return float(np.mean(changes))


def _of(images: ImageSet, kind: Place) -> pd.DataFrame:
    rows = images.manifest
    mine = (rows["category"] == kind[0]) & (rows["defect_type"] == kind[1])
    return rows[mine].sort_values("planned")
