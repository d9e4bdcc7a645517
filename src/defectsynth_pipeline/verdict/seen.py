"""Images as an extractor sees them, whole and inside the defect, and how their masks fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from defectsynth_pipeline.appearance.framing import roi_frame
from defectsynth_pipeline.arms.shown import Shown
from defectsynth_pipeline.certificate.label import measure_label
from defectsynth_pipeline.corpora.inpainting import remove_defect
from defectsynth_pipeline.features.encoder import as_rgb8
from defectsynth_pipeline.features.extractors import Extractor
from defectsynth_pipeline.imaging.pixels import crop, resize
from defectsynth_pipeline.measures.generation import Clusters
from defectsynth_pipeline.options import QualityOptions

WHOLE, DEFECT = REGIONS = ("whole", "defect")
_BATCH = 16
_LEAST = 32  # px, side of a defect's window
_CONTEXT, _SURROUND = 4.0, 128  # of the window in which a background is estimated


@dataclass
class Seen:
    """Images as an extractor sees them.

    Attributes:
        features, logits, vectors: By region, float32 (N, D); no vectors where they were
            clustered.
        clusters: By region, around the base images.
        iou: (N,), of masks, see `look`; nan where the background is not known.
        estimated: (<= N,), of the masks of the first ones.
    """

    features: dict[str, Tensor]
    logits: dict[str, Tensor]
    vectors: dict[str, Tensor]
    clusters: dict[str, list[Clusters]]
    iou: np.ndarray
    estimated: np.ndarray

    def __len__(self) -> int:
        return len(self.features[WHOLE])


def joined(parts: Sequence[Seen]) -> Seen:
    """Several types as one; clusters stay those of the types."""
    features, logits, vectors = (
        {name: torch.cat([getattr(part, kind)[name] for part in parts]) for name in REGIONS}
        for kind in ("features", "logits", "vectors")
    )
    clusters = {n: [one for part in parts for one in part.clusters.get(n, [])] for n in REGIONS}
    iou, estimated = (
        np.concatenate([getattr(part, kind) for part in parts]) for kind in ("iou", "estimated")
    )
    return Seen(features, logits, vectors, clusters, iou, estimated)


def look(
    shown: Iterable[Shown],
    extractor: Extractor,
    options: QualityOptions,
    seeds: Mapping[str, Tensor] | None = None,
) -> Seen:
    """See images, whole and in a square window around their masks.

    A mask's IoU is that with what changed against the background (`certificate.label`); a second
    one, of the first `options.estimated` images, is against the background as its surroundings
    would continue it, which is all that is known of a real image or of another system's.

    Args:
        shown: At least one.
        extractor: What sees them.
        options: Sizes, and how many masks are judged.
        seeds: By region (R, V), vectors of the base images that they are clustered around; without
            them the images' own vectors are kept.
    """
    clusters = {name: [Clusters(own)] for name, own in seeds.items()} if seeds else {}
    found: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {name: [] for name in REGIONS}
    known: list[float] = []
    estimated: list[float] = []
    images = iter(shown)
    while batch := list(islice(images, _BATCH)):
        known += map(_fit, batch)
        estimated += map(_estimated_fit, batch[: max(0, options.estimated - len(estimated))])
        views = [_views(one, options) for one in batch]
        for number, name in enumerate(REGIONS):
            features, logits, vectors = extractor.see(np.stack([view[number] for view in views]))
            if clusters:
                clusters[name][0].update(vectors)
            # Of the many generated ones the clusters keep all that is needed.
            found[name].append((features, logits, vectors[:0] if clusters else vectors))
    features_of, logits_of, vectors_of = (
        {name: torch.cat([parts[number] for parts in found[name]]) for name in REGIONS}
        for number in range(3)
    )
    return Seen(features_of, logits_of, vectors_of, clusters, np.array(known), np.array(estimated))


def _views(shown: Shown, options: QualityOptions) -> tuple[np.ndarray, np.ndarray]:
    """An image as it is seen, and the window of its defect: uint8 squares (s, s, 3)."""
    image = as_rgb8(shown.image)
    frame = roi_frame(shown.mask, options.context, _LEAST)
    whole = resize(image, (options.side, options.side))
    region = crop(image, frame, options.region_side)
    return tuple(np.rint(view).astype(np.uint8) for view in (whole, region))  # type: ignore[return-value]


def _fit(shown: Shown) -> float:
    """IoU of a mask with what changed against the known background; nan without one."""
    image, mask, background = shown
    return math.nan if background is None else measure_label(image, background, mask).overlap


def _estimated_fit(shown: Shown) -> float:
    """The same against an estimated background."""
    frame = roi_frame(shown.mask, _CONTEXT, _SURROUND)
    part, inside = crop(shown.image, frame), crop(shown.mask, frame)
    return measure_label(part, remove_defect(part, inside), inside).overlap
