"""How good are the images? A row per type and arm, on whole images and inside the defect.

Every arm is seen by one extractor, at equal count. Two more rows tell how to read the others: real
images against real ones, the floor, and untouched backgrounds, which should be worst inside the
defect.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count as count_from
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from defectsynth_pipeline.arms.arm import rng_of
from defectsynth_pipeline.arms.shown import UNTOUCHED, Shown, Source
from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features.extractors import Extractor
from defectsynth_pipeline.measures import generation
from defectsynth_pipeline.options import QualityOptions
from defectsynth_pipeline.resumable import Progress
from defectsynth_pipeline.schemas import own_columns
from defectsynth_pipeline.verdict.comparison import ALL
from defectsynth_pipeline.verdict.paper_quality import beside_paper
from defectsynth_pipeline.verdict.seen import DEFECT, REGIONS, WHOLE, Seen, joined, look

_log = logging.getLogger(__name__)
REAL = "real"  # the row of the floor
MEASURES = (
    "kid",
    "feature_distance",
    "ic_distance",
    "inception_score",
    "precision",
    "recall",
    "mask_iou",
    "mask_iou_estimated",
)
_NUMBERS = (*MEASURES, "kid_std")
_SPLITS = {"all": ("base", "test"), "base": ("base",), "test": ("test",)}


def measure(
    real: Seen, generated: Seen, region: str, options: QualityOptions
) -> tuple[dict[str, float], list[str]]:
    """Return every measure of a region, nan where it cannot be had, and why it cannot."""
    values, notes = dict.fromkeys(_NUMBERS, math.nan), []
    ours, theirs = generated.features[region], real.features[region]
    least = min(len(ours), len(theirs))
    have = f"{len(theirs)} real and {len(ours)} generated"
    if least >= options.subset:
        values["kid"], values["kid_std"] = generation.kernel_distance(
            theirs, ours, subset=options.subset, subsets=options.subsets, seed=options.seed
        )
    else:
        notes.append(f"kid: a subset needs {options.subset} of either, there are {have}")
    if least > 1:
        values["feature_distance"] = generation.feature_distance(theirs, ours)
    if least > options.neighbours:
        values["precision"], values["recall"] = generation.precision_recall(
            theirs, ours, options.neighbours
        )
    else:
        notes.append(f"precision and recall: {options.neighbours} neighbours need more than {have}")
    if len(ours) >= options.splits:
        values["inception_score"] = generation.inception_score(
            generated.logits[region], splits=options.splits, seed=options.seed
        )
    else:
        notes.append(f"inception_score: {options.splits} splits need more than {len(ours)}")
    means = [mean for clusters in generated.clusters[region] for mean in clusters.means()]
    if means:
        values["ic_distance"] = float(np.mean(means))
    else:
        notes.append("ic_distance: no base image has two images in its cluster")
    known = generated.iou[~np.isnan(generated.iou)]
    values["mask_iou_estimated"] = float(generated.estimated.mean())
    if len(known):
        values["mask_iou"] = float(known.mean())
    else:
        notes.append("mask_iou: backgrounds not known")
    return values, notes


def measure_quality(
    samples: pd.DataFrame,
    sources: Mapping[str, Source],
    extractor: Extractor,
    options: QualityOptions,
) -> pd.DataFrame:
    """Measure every arm of every type and category.

    A type's arms have equally many images: `options.images`, or as many as the one that has the
    fewest different ones. Rows of a category, defect type "all", are of its types together; arms
    that know no types have these alone.

    Args:
        samples: The table `samples`; real test images are looked at, to measure only.
        sources: Name to images.
        extractor: What sees all of them.
        options: What is measured, and how.

    Returns:
        The table `generation_quality`; the paper's numbers where the extractor is the paper's.

    Raises:
        InputError: No type can be measured.
    """
    real = samples[(samples["defect_type"] != GOOD) & samples["split"].isin(["base", "test"])]
    compared = real[real["split"].isin(_SPLITS[options.real])]
    most = int(compared.groupby("category").size().max()) if len(compared) else 0
    if most < options.subset:
        raise _too_few(f"a subset needs {options.subset}, no category has more than {most} real")
    rows: list[dict[str, Any]] = []
    for (corpus, category), own in real.groupby(["corpus", "category"], sort=True):
        rows += _category(str(corpus), str(category), own, sources, extractor, options)
    table = pd.DataFrame(rows).pipe(beside_paper, extractor.of_paper)
    table = table.reindex(columns=own_columns("generation_quality"))
    made = table[~table["arm"].isin([REAL, UNTOUCHED])]
    if made["kid"].isna().all():
        raise _too_few(made["note"].iloc[0])
    return table


def _too_few(value: str) -> InputError:
    return InputError(
        "no defect type has enough images to be measured",
        value=value,
        remedy="lower quality.subset, or set quality.real: all",
    )


def _category(
    corpus: str,
    category: str,
    real: pd.DataFrame,
    sources: Mapping[str, Source],
    extractor: Extractor,
    options: QualityOptions,
) -> Iterator[dict[str, Any]]:
    """Rows of a category's types, then of all of them."""
    types = sorted(set(real.loc[real["split"] == "base", "defect_type"]))
    if not types:
        _log.warning("%s is not measured: no base images of a defect", category)
        return
    progress = Progress(f"{category}: measured", (len(sources) + 1) * (len(types) + 1))
    done = count_from(1)
    references: list[_Reference] = []
    seen: dict[str, list[Seen]] = {name: [] for name in sources}
    total = 0
    for defect_type in types:
        own = real[real["defect_type"] == defect_type]
        reference = _Reference.of(own, extractor, options)
        references.append(reference)
        place = {"corpus": corpus, "category": category, "defect_type": defect_type}
        yield from _rows(place, REAL, reference, None, extractor, options)
        progress(next(done))
        most = {n: s.most(category, defect_type) for n, s in sources.items() if s.typed}
        count = min([options.images, *(number for number in most.values() if number)])
        total += count
        for name, number in most.items():
            found = None
            if number != 0:
                images = sources[name].show(category, [defect_type], count)
                found = look(images, extractor, options, reference.seeds)
                seen[name].append(found)
            yield from _rows(place, name, reference, found, extractor, options)
            progress(next(done))
    whole = _Reference.joined(references)
    place = {"corpus": corpus, "category": category, "defect_type": ALL}
    yield from _rows(place, REAL, whole, None, extractor, options)
    for name, source in sources.items():
        if not source.typed:
            images = source.show(category, types, total)
            seen[name] = [look(images, extractor, options, whole.seeds)]
        found = joined(seen[name]) if seen[name] else None
        lacks = [t for t in types if source.typed and source.most(category, t) == 0]
        remark = f"without {', '.join(lacks)}, which the other arms have" if lacks else ""
        yield from _rows(place, name, whole, found, extractor, options, remark)
        progress(next(done))


@dataclass(frozen=True)
class _Reference:
    """Real images of a type: what arms are measured against, and what their clusters are around.

    Attributes:
        images: The chosen splits; None where there are none.
        others: Test images, clustered around the base images; None where there are none.
        seeds: Vectors of the base images, by region.
    """

    images: Seen | None
    others: Seen | None
    seeds: dict[str, Tensor]

    @classmethod
    def of(cls, rows: pd.DataFrame, extractor: Extractor, options: QualityOptions) -> _Reference:
        parts: dict[str, Seen] = {}
        for split in ("base", "test"):
            own = rows[rows["split"] == split]
            if len(own):
                shown = (Shown(s.image(), s.mask(), None) for s in each_sample(own))
                seeds = parts["base"].vectors if parts else None
                parts[split] = look(shown, extractor, options, seeds)
        chosen = [parts[split] for split in _SPLITS[options.real] if split in parts]
        return cls(joined(chosen) if chosen else None, parts.get("test"), parts["base"].vectors)

    @classmethod
    def joined(cls, parts: Sequence[_Reference]) -> _Reference:
        images, others = (
            [getattr(part, name) for part in parts if getattr(part, name) is not None]
            for name in ("images", "others")
        )
        seeds = {name: torch.cat([part.seeds[name] for part in parts]) for name in REGIONS}
        return cls(joined(images) if images else None, joined(others) if others else None, seeds)


def _rows(
    place: Mapping[str, str],
    name: str,
    reference: _Reference,
    found: Seen | None,
    extractor: Extractor,
    options: QualityOptions,
    remark: str = "",
) -> Iterator[dict[str, Any]]:
    """A row per region of an arm, or of the floor; without images a row that says so."""
    told: dict[str, Any] = {
        "arm": name,
        "extractor": extractor.name,
        "distance": extractor.distance,
    }
    told |= {"real": " and ".join(_SPLITS[options.real]), "n_base": len(reference.seeds[WHOLE])}
    sizes = {"subset": options.subset, "subsets": options.subsets}
    for region in REGIONS:
        counted = {"n_real": len(reference.images or ()), "n_generated": len(found or ())}
        if reference.images is None:
            values, notes = dict.fromkeys(_NUMBERS, math.nan), ["no real images of these splits"]
        elif name == REAL:
            values, notes, counted = _floor(reference, region, options)
        elif found is None:
            values, notes = dict.fromkeys(_NUMBERS, math.nan), ["no images of this type"]
        else:
            values, notes = measure(reference.images, found, region, options)
        yield {**place, **told, "region": region, **values, **counted, **sizes} | {
            "note": "; ".join(filter(None, [remark, *notes]))
        }


def _floor(
    reference: _Reference, region: str, options: QualityOptions
) -> tuple[dict[str, float], list[str], dict[str, int]]:
    """Real against real: the mean over random halves, and test images around the base ones."""
    images = reference.images
    assert images is not None
    found, half = [], len(images) // 2
    for number in range(options.halvings):
        order = torch.tensor(rng_of("halves", options.seed, number).permutation(len(images)))
        one, other = (
            replace(images, features={region: images.features[region][chosen]})
            for chosen in (order[:half], order[half:])
        )
        found.append(measure(one, other, region, options))
    values = pd.DataFrame([values for values, _ in found]).mean()
    notes = [note for note in found[0][1] if note.startswith(("kid", "precision"))]
    others = reference.others
    alone = replace(images, clusters=others.clusters if others else {WHOLE: [], DEFECT: []})
    whole, more = measure(images, alone, region, options)
    values[["ic_distance", "inception_score"]] = whole["ic_distance"], whole["inception_score"]
    notes += [note for note in more if note.startswith(("ic_", "inception"))]
    counted = {"n_real": half, "n_generated": len(images) - half}
    return {str(key): value for key, value in values.items()}, notes, counted
