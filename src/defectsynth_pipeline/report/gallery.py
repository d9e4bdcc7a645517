"""Which images a report shows, and how: whole part, crop, and the crop with the mask outlined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.figures.previews import contact_sheet, looks, spread
from defectsynth_pipeline.figures.strips import best_median_worst
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.report.inline import photograph

_SIDE = 176  # px of each of the three pictures
_TILES = 160  # pictures of synthetic images in all; a page stays small whatever the types
_MOST = 3  # of a kind per type
_REJECTED = 24  # shown in all
_TYPE = ["category", "defect_type"]


class Shown(NamedTuple):
    """An image on the page.

    Attributes:
        uri: The picture.
        name: Its id.
        verdict: "real", or the certificate's.
        told: What else is known, such as "transfer, certainty 0.93".
    """

    uri: str
    name: str
    verdict: str
    told: str


class TypeGallery(NamedTuple):
    """The images of one defect type: real ones, and rows of synthetic ones by heading."""

    name: str
    real: list[Shown]
    made: dict[str, list[Shown]]


def galleries(samples: pd.DataFrame, images: ImageSet) -> list[TypeGallery]:
    """Real base samples and, by the certificate's certainty, the best, median and worst published.

    Args:
        samples: The table `samples`; only rows of the base are shown.
        images: The set.
    """
    base = samples[samples["split"] == "base"]
    every = pd.concat([images.manifest, images.rejected])
    groups = list(every.groupby(_TYPE, sort=True))
    count = max(1, min(_MOST, _TILES // max(3 * len(groups), 1)))
    found = []
    for key, _ in groups:
        category, kind = cast("tuple[str, str]", key)
        mine = base[(base["category"] == category) & (base["defect_type"] == kind)]
        real = [
            Shown(strip(one.image(), one.mask()), one.sample_id, "real", "")
            for one in each_sample(spread(mine, count))
        ]
        published = images.manifest[
            (images.manifest["category"] == category) & (images.manifest["defect_type"] == kind)
        ]
        made = {
            heading: [_synthetic(images, row) for _, row in rows.iterrows()]
            for heading, rows in best_median_worst(published, count).items()
        }
        found.append(TypeGallery(f"{category} / {kind}", real, made))
    return found


def rejected(images: ImageSet) -> Iterator[Shown]:
    """Some of what was rejected, spread over types and reasons."""
    rows = images.rejected
    if len(rows):
        order = rows.sort_values([*_TYPE, "reason", "image_id"], kind="stable")
        for _, row in spread(order, _REJECTED).iterrows():
            yield _synthetic(images, row)


def strip(image: np.ndarray, mask: np.ndarray) -> str:
    """What `previews.looks` gives, side by side."""
    return photograph(contact_sheet(looks(image, mask), columns=3, side=_SIDE))


def _synthetic(images: ImageSet, row: pd.Series) -> Shown:
    name = str(row["image_id"])
    drawn = strip(images.array(name, "image"), images.array(name, "mask"))
    told = f"{row['engine']}, certainty {row['certainty']:.2f}, attempt {row['attempts']}"
    reason = f"; {row['reason']}" if row["reason"] else ""
    return Shown(drawn, name, str(row["verdict"]), told + reason)
