"""What are an engine's images worth to a detector? Asked of the base set alone, beforehand.

Some base images are held out, whole parts of them; the others teach a small head on the frozen
encoder's features, alone or together with what an engine made of those others. What the head finds
on the images held out, against good ones that it has not seen, is the answer. Images whose masks
were moved are asked about too: they must not help, or the measure is worth nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from defectsynth_pipeline.appearance.engines import Tried
from defectsynth_pipeline.corpora.reading import Example, Sample
from defectsynth_pipeline.features.encoder import CHANNELS, STRIDES, normalised, on_grid
from defectsynth_pipeline.inspection.batches import make_view
from defectsynth_pipeline.resumable import Progress

Array = np.ndarray
SIDE = 512  # px, longer side at which a head sees an image
REAL, ALL, MOVED = "real alone", "all together", "mask moved"
FOLDS = 3
COLUMNS = ("category", "defect_type", "candidate", "images", "ap", "gain", "error")
_LEVELS = (2, 4, 8, 16)
_GRID = 4  # px, stride of the cells
_WIDTH = sum(CHANNELS[STRIDES.index(stride)] for stride in _LEVELS)
_DEFECT, _GOOD = 300, 400  # cells of an image that teach, at most
_SHARE = 1 / 3  # of a type's weight that synthetic images have, where there are any
_GOOD_SHARE = 0.5  # of good images, beside all defective ones
_NORMALS = 10  # good images per fold that teach and that are judged on
_STEPS, _BATCH, _HIDDEN, _RATE, _DECAY = 300, 512, 32, 5e-3, 1e-2
_CLIP = 6.0  # deviations


class Cells(NamedTuple):
    """An image as a head sees it: features of cells of 4 px, and how much defect covers them.

    Attributes:
        features: float16 (N, 192).
        cover: float32 (N,) in [0, 1].
    """

    features: Tensor
    cover: Array


def usefulness(
    base: Sequence[Sample],
    normals: Sequence[Sample],
    folds: Sequence[int],
    trials: Iterable[Tried],
    seed: int = 0,
) -> pd.DataFrame:
    """Measure what each engine's images add to a category's real ones.

    Args:
        base: Base samples of one category.
        normals: Good samples of it.
        folds: Below `FOLDS`, of each base sample.
        trials: Images of every fold, read once; only accepted ones teach.
        seed: Of draws of cells and of training.

    Returns:
        A row per defect type and candidate (`REAL`, an engine, `ALL`, `MOVED`): images held out,
        ap (mean over them of pixel average precision), gain (over `REAL`, paired) and its standard
        error; nan where no image of the type could be held out or made.
    """
    rng = np.random.default_rng(seed)
    real = {sample.sample_id: cells_of(sample.image(), sample.mask()) for sample in base}
    good = [cells_of(n.image(), n.mask()) for n in normals[: FOLDS * _NORMALS]]
    scale = _Scale.of([cells.features for cells in (*real.values(), *good)])
    made: dict[tuple[int, str], list[_Lesson]] = defaultdict(list)
    for trial in trials:
        if not trial.accepted:
            continue
        cells = cells_of(trial.image, trial.mask)
        made[trial.fold, trial.engine].append(_lesson(trial.defect_type, cells, rng))
        moved = cells._replace(cover=np.roll(cells.cover, len(cells.cover) // 3))
        made[trial.fold, MOVED].append(_lesson(trial.defect_type, moved, rng))
    engines = sorted({engine for _, engine in made} - {MOVED})
    candidates = {REAL: [], **{e: [e] for e in engines}}
    candidates |= {ALL: engines, MOVED: [MOVED]} if engines else {}
    rows, progress = [], Progress(f"{base[0].category}: judging engines", FOLDS * len(candidates))
    for fold in range(FOLDS):
        held = [sample for sample, own in zip(base, folds, strict=True) if own == fold]
        seen = [sample for sample, own in zip(base, folds, strict=True) if own != fold]
        lessons = [_lesson(s.defect_type, real[s.sample_id], rng) for s in seen]
        unseen = good[fold::FOLDS] or good
        plain = [cells for number, cells in enumerate(good) if number % FOLDS != fold] or good
        plain_lessons = [_lesson("", cells, rng) for cells in plain[:_NORMALS]]
        for number, (name, of) in enumerate(candidates.items(), start=1):
            own = [lesson for engine in of for lesson in made[fold, engine]]
            if held and seen:
                head = _fitted(lessons, own, plain_lessons, scale, seed)
                against = np.concatenate([_scores(head, cells, scale) for cells in unseen])
                for sample in held:
                    ap = _precision(head, real[sample.sample_id], against, scale)
                    if not of or sample.defect_type in {lesson.kind for lesson in own}:
                        rows.append((sample.sample_id, sample.defect_type, name, ap))
            progress(fold * len(candidates) + number)
    found = pd.DataFrame(rows, columns=["sample", "defect_type", "candidate", "ap"])
    return _table(base[0].category, found)


def cells_of(image: Array, mask: Array) -> Cells:
    """Return an image, uint8 or uint16, and its mask (H, W) as a head sees them."""
    view = make_view(Example(image, mask), SIDE, square=False)
    features = on_grid(normalised(view.image[None]), _LEVELS, _GRID)
    cover = torch.from_numpy(view.cover / np.float32(255))[None, None]
    height, width = features.shape[-2:]
    on_cells = F.adaptive_avg_pool2d(cover, (height, width))
    return Cells(features[0].flatten(1).T.contiguous().half(), on_cells.flatten().numpy())


class _Scale(NamedTuple):
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, features: Sequence[Tensor]) -> _Scale:
        some = torch.cat([part[:: max(1, len(part) // _GOOD)] for part in features]).float()
        return cls(some.mean(0), some.std(0) + 1e-4)

    def __call__(self, features: Tensor) -> Tensor:
        return ((features.float() - self.mean) / self.deviation).clamp(-_CLIP, _CLIP)


class _Lesson(NamedTuple):
    """Cells of one image that teach: (N, W) of the defect and of what is good."""

    kind: str
    defect: Tensor
    good: Tensor


def _lesson(kind: str, cells: Cells, rng: np.random.Generator) -> _Lesson:
    defect, good = np.flatnonzero(_covered(cells.cover)), np.flatnonzero(cells.cover == 0)
    defect = rng.choice(defect, min(_DEFECT, len(defect)), replace=False)
    good = rng.choice(good, min(_GOOD, len(good)), replace=False)
    return _Lesson(kind, cells.features[defect], cells.features[good])


def _covered(cover: Array) -> Array:
    """Cells (N,) that are of the defect; one that fills no half cell has its fullest ones."""
    return np.asarray(cover >= min(0.5, max(float(cover.max()), 1e-6)))


def _fitted(
    real: Sequence[_Lesson],
    own: Sequence[_Lesson],
    plain: Sequence[_Lesson],
    scale: _Scale,
    seed: int,
) -> nn.Module:
    """A head that every defect type, whatever the number of its images, counts alike in."""
    kinds = sorted({lesson.kind for lesson in real})
    parts: list[tuple[Tensor, float, float]] = []  # cells, label, weight
    for kind in kinds:
        sets = [[lesson for lesson in of if lesson.kind == kind] for of in (real, own)]
        shares = (1 - _SHARE, _SHARE) if sets[1] else (1.0, 0.0)
        for lessons, share in zip(sets, shares, strict=True):
            weight = (1 - _GOOD_SHARE) * share / len(kinds) / max(len(lessons), 1)
            parts += [(lesson.defect, 1.0, weight) for lesson in lessons]
            parts += [(lesson.good, 0.0, weight) for lesson in lessons]
    parts += [(lesson.good, 0.0, _GOOD_SHARE / len(plain)) for lesson in plain]
    parts = [part for part in parts if len(part[0])]
    inputs = scale(torch.cat([cells for cells, _, _ in parts]))
    labels = torch.cat([torch.full((len(c),), label) for c, label, _ in parts])
    chances = torch.cat([torch.full((len(c),), weight / len(c)) for c, _, weight in parts])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Sequential(nn.Linear(_WIDTH, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=_DECAY)
        drawn = torch.multinomial(chances, _STEPS * _BATCH, replacement=True, generator=generator)
        for batch in drawn.split(_BATCH):
            logits = head(inputs[batch])[:, 0]
            loss = F.binary_cross_entropy_with_logits(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return head


@torch.no_grad()
def _scores(head: nn.Module, cells: Cells, scale: _Scale) -> Array:
    return np.asarray(head(scale(cells.features))[:, 0].numpy())


def _precision(head: nn.Module, cells: Cells, against: Array, scale: _Scale) -> float:
    """Average precision of a defect's cells against the rest of its image and good images.

    Cells that the mask's edge crosses are left out.
    """
    defect = _covered(cells.cover)
    clear = defect | (cells.cover == 0)
    truth = np.concatenate([defect[clear], np.zeros(len(against), bool)])
    scores = np.concatenate([_scores(head, cells, scale)[clear], against])
    return float(average_precision_score(truth, scores))


def _table(category: str, found: pd.DataFrame) -> pd.DataFrame:
    alone = found[found["candidate"] == REAL].set_index("sample")["ap"]
    found = found.assign(gain=found["ap"] - found["sample"].map(alone))
    groups = found.groupby(["defect_type", "candidate"], sort=True)
    table = groups.agg(
        images=("ap", "size"), ap=("ap", "mean"), gain=("gain", "mean"), error=("gain", "sem")
    )
    return table.reset_index().assign(category=category)[list(COLUMNS)]
