"""A corpus with the encoder's eyes: what a person would want to look at again before a run.

Nothing here is an error: a good image that looks unlike the other good ones may be good, and a mask
that lies beside what the encoder sees may be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import Example, Sample, each_sample
from defectsynth_pipeline.corpora.thumbnails import copies, thumbnail
from defectsynth_pipeline.features.encoder import patch_features
from defectsynth_pipeline.features.memory import PatchMemory, smoothed
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.figures.previews import outlined, spread
from defectsynth_pipeline.imaging.pixels import resize
from defectsynth_pipeline.inspection.batches import make_view
from defectsynth_pipeline.resumable import Progress

SIDE = 384  # px, the longer side as the encoder sees it
GOOD_AT_MOST, DEFECTIVE_AT_MOST = 120, 24  # images looked at, per category and per type
INPAINTED_AT_MOST = 24  # of good images that are made of defective ones first, in seconds each
CORESET = 1500
UNLIKE = 4.0  # deviations, by the median's measure, above the other good images
FOLLOWS = 0.8  # area under the ROC curve of "in the mask" by "unlike the good images"
_MASKED = 0.3  # share of a patch's fullest cover from which it counts as in the mask
BASE, TEST = 6, 10  # images; fewer give few shapes, or no verdict
_SHOWN = 24  # tiles of the picture, at most


class Doubt(NamedTuple):
    """Something to look at.

    Attributes:
        kind: Which of the questions of this module it answers.
        said: One line.
        shown: The images it is about, with the place that is meant.
    """

    kind: str
    said: str
    shown: tuple[tuple[Sample, np.ndarray], ...] = ()


@dataclass
class _Category:
    """What was seen of one category.

    Attributes:
        thumbs: Of every image looked at.
        memories: Two, of either half of the good images.
    """

    name: str
    seen: list[Sample] = field(default_factory=list)
    thumbs: list[np.ndarray] = field(default_factory=list)
    memories: list[PatchMemory] = field(default_factory=list)


def doubts(samples: pd.DataFrame) -> Iterator[Doubt]:
    """Yield what to look at again, category by category, the worst first.

    Args:
        samples: The table `samples`.
    """
    for (corpus, name), rows in samples.groupby(["corpus", "category"], sort=False):
        category = _Category(f"{corpus}/{name}")
        yield from _few(rows)
        good = rows[rows["defect_type"] == GOOD]
        photographs = good[good["derivation"] == ""]
        most = GOOD_AT_MOST if len(photographs) else INPAINTED_AT_MOST
        shown = spread(photographs if len(photographs) else good, most)
        yield from _unlike(category, [*each_sample(shown)])
        defective = rows[rows["defect_type"] != GOOD].groupby("defect_type", sort=False)
        chosen = [s for _, own in defective for s in each_sample(spread(own, DEFECTIVE_AT_MOST))]
        yield from _astray(category, chosen)
        yield from _repeated(category, rows)


def _few(rows: pd.DataFrame) -> Iterator[Doubt]:
    for defect_type, own in rows[rows["defect_type"] != GOOD].groupby("defect_type", sort=False):
        base, test = ((own["split"] == side).sum() for side in ("base", "test"))
        name = "/".join([*own.iloc[0][["corpus", "category"]], str(defect_type)])
        if base < BASE:
            yield Doubt("few", f"{name}: {base} base images give few shapes; {BASE} or more serve")
        if test < TEST:
            said = f"{name}: {test} test images will hardly carry a verdict; {TEST} or more may"
            yield Doubt("few", said)


def _unlike(category: _Category, good: Sequence[Sample]) -> Iterator[Doubt]:
    """Good images unlike the other half of them."""
    progress = Progress(f"{category.name}: good image", len(good))
    features = []
    for number, sample in enumerate(good, start=1):
        features.append(_look(category, sample))
        progress(number)
    for half in (features[0::2], features[1::2] or features):
        flat = [part.reshape(-1, part.shape[-1]) for part in half]
        category.memories.append(PatchMemory.of(flat, coreset=CORESET))
    maps = [_unlikeness(category.memories[1 - i % 2], part) for i, part in enumerate(features)]
    peaks = np.array([found.max() for found in maps])
    middle = float(np.median(peaks))
    spread = 1.4826 * float(np.median(np.abs(peaks - middle))) or 1.0
    for i in np.argsort(-peaks):
        if (far := (peaks[i] - middle) / spread) <= UNLIKE:
            return
        name = good[i].sample_id
        said = f"{name} counts as good and looks unlike the others ({far:.1f} deviations)"
        place = maps[i] > (maps[i].max() + np.median(maps[i])) / 2
        yield Doubt("unlike", said, ((good[i], place),))


def _astray(category: _Category, defective: Sequence[Sample]) -> Iterator[Doubt]:
    """Masks that do not lie where the encoder sees something unlike the good images."""
    progress = Progress(f"{category.name}: defect", len(defective))
    found = []
    for number, sample in enumerate(defective, start=1):
        unlike = _unlikeness(category.memories[0], _look(category, sample))
        follows = follow(unlike, sample.mask())
        if follows < FOLLOWS:
            found.append((follows, sample))
        progress(number)
    for follows, sample in sorted(found, key=lambda pair: pair[0]):
        said = (
            f"{sample.sample_id}: the mask follows what looks unlike good parts only to "
            f"{follows:.0%} (a mask at random: 50 %)"
        )
        yield Doubt("astray", said, ((sample, sample.mask()),))


def follow(unlike: np.ndarray, mask: np.ndarray) -> float:
    """Return how well a mask follows what is unlike good images, 1 at best, 0.5 at random.

    Args:
        unlike: (h, w), per patch.
        mask: (H, W) bool, of the whole image.
    """
    cover = resize(mask, (unlike.shape[0], unlike.shape[1]))
    inside = cover > _MASKED * cover.max()
    if inside.all():
        return 1.0
    return float(roc_auc_score(inside.ravel(), unlike.ravel()))


def _repeated(category: _Category, rows: pd.DataFrame) -> Iterator[Doubt]:
    """One part shown more than once: in the groups of ingest, and by the thumbnails."""
    own = rows[(rows["defect_type"] != GOOD) & (rows["derivation"] == "")]
    for _, group in own.drop_duplicates("image").groupby("group", sort=False):
        if len(group) > 1:
            names = ", ".join(group["sample_id"])
            said = f"{names} show one part: they stay on one side of the split, and count once"
            yield Doubt("repeated", said, tuple((s, s.mask()) for s in each_sample(group)))
    thumbs = np.stack(category.thumbs)
    for first, second in copies(thumbs, thumbs, thumbs.astype(np.float32).mean(0)):
        one, other = category.seen[first], category.seen[second]
        if first < second and one.image_file != other.image_file and one.group != other.group:
            said = f"{one.sample_id} and {other.sample_id} look like one photograph"
            yield Doubt("repeated", said, tuple((s, s.mask()) for s in (one, other)))


def _look(category: _Category, sample: Sample) -> Tensor:
    """Return the features of an image, (h, w, C) per patch of 8 px."""
    shown = Example(sample.image(), sample.mask())
    category.seen.append(sample)
    category.thumbs.append(thumbnail(shown.image))
    return patch_features(make_view(shown, SIDE, square=False).image[None])[0]


def _unlikeness(memory: PatchMemory, features: Tensor) -> np.ndarray:
    return np.asarray(smoothed(memory.distances(features)[None, None])[0, 0])


def draw_doubts(found: Sequence[Doubt]) -> Figure:
    """Draw the images that are meant, the place outlined, each under what is said of it."""
    tiles = [(doubt, *shown) for doubt in found for shown in doubt.shown][:_SHOWN]
    if not tiles:
        return style.empty_figure("Nothing to look at again")
    columns = min(4, len(tiles))
    rows = -(-len(tiles) // columns)
    figure = Figure(figsize=(3 * columns, 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    titles = {"unlike": "good?", "astray": "mask?", "repeated": "again?"}
    for ax, (doubt, sample, place) in zip(axes, tiles, strict=False):
        image = sample.image()
        size = (image.shape[1], image.shape[0])
        ax.imshow(outlined(image, np.asarray(Image.fromarray(place).resize(size))))
        name = "\n".join(sample.sample_id.rsplit("/", 1))
        ax.set_title(f"{titles[doubt.kind]} {name}", fontsize=style.SMALL)
    style.title(figure, "To look at again")
    return figure
