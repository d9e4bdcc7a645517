"""How a defect gets onto its background, and which way suits which type.

* transfer: a real defect's residual in the shape of the planned mask (`transfer`), then the
  network; its change is kept where the image is judged to be the better for it.
* paste: the real defect whole (`paste`), on a part with a strip of its surroundings, and no
  network.
* diffusion: what `compose.mode` says, the network's change always kept.

`auto` tries transfer and paste on every type and shares the images between them by what is
accepted; nothing but base and normal samples is looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from defectsynth_pipeline.appearance.paste import pasted, strip_of
from defectsynth_pipeline.appearance.plan import PASTE, TRANSFER, Placer
from defectsynth_pipeline.appearance.transfer import transferred
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.motion import Motion, landed_mask
from defectsynth_pipeline.imaging.pixels import fit_mask, from_float, to_float
from defectsynth_pipeline.options import SynthesisOptions
from defectsynth_pipeline.resumable import Progress

log = logging.getLogger(__name__)
NEARLY = 0.8  # of the best engine's accepted share, below which another one is left out


class Made(NamedTuple):
    """An image that a judge is asked about.

    Attributes:
        row: Its row of the plan, as the attempt drew it.
        image: Native, uint8 or uint16, (H, W) or (H, W, 3).
        background: The same without the defect.
        mask: (H, W) bool.
    """

    row: Any
    image: np.ndarray
    background: np.ndarray
    mask: np.ndarray


class Judged(NamedTuple):
    """What a judge says.

    Attributes:
        accepted: Whether the image may be published.
        mask: (H, W) bool, the mask to publish with it.
        record: Columns of the manifest.
        score: How good the image is; of two images of one row the better one is kept.
    """

    accepted: bool
    mask: np.ndarray
    record: dict[str, Any]
    score: float = 0.0


def planned_mask(
    row: Mapping[str, Any], masks: ImageSet, real_mask: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the mask (H, W) bool that a row of the plan places on an image of a shape (H, W).

    Args:
        row: Its engine, mask and motion are used.
        masks: Generated masks.
        real_mask: That of the row's reference.
        shape: Of the background.
    """
    motion = Motion.of(row)
    if row["engine"] == PASTE:
        return landed_mask(real_mask, motion, shape)
    generated = fit_mask(masks.array(row["mask"], "mask"), (shape[0], shape[1]))
    placed = motion.warp(generated)
    return placed if placed.any() else generated


def carried_strip(row: Mapping[str, Any], real_mask: np.ndarray) -> int:
    """Px of surroundings that a row carries: where a part lies on a part they fit, else never."""
    pasted_on_part = row["engine"] == PASTE and row["placement"] == "part"
    return strip_of(real_mask) if pasted_on_part else 0


def begun(
    row: Mapping[str, Any],
    background: np.ndarray,
    mask: np.ndarray,
    real: np.ndarray,
    real_mask: np.ndarray,
    options: SynthesisOptions,
) -> np.ndarray:
    """Return the image that a row of the plan starts from, like its background.

    Args:
        row: Its engine, motion and severity are used.
        background: (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, from `planned_mask`.
        real: The row's reference, uint8 or uint16.
        real_mask: Its defect.
        options: How a residual is composed.
    """
    collar = options.compose.collar
    if row["engine"] == PASTE:
        strip, place = carried_strip(row, real_mask), (Motion.of(row), background)
        return pasted(real, real_mask, *place, strip=strip, collar=collar)
    if options.compose.mode != "exemplar":
        return background
    made = transferred(
        background,
        mask,
        to_float(real),
        real_mask,
        degrees=float(row["angle"]),
        severity=float(row["severity"]),
        relative=options.compose.relative,
        collar=collar,
    )
    return from_float(made, background)


def choose_engines(
    samples: pd.DataFrame,
    masks: ImageSet,
    options: SynthesisOptions,
    judge: Callable[[Made], Judged],
) -> pd.DataFrame:
    """Share a type's images between the engines.

    An engine of which much less is accepted than of the best one is left out; the others take
    shares in proportion.

    Args:
        samples: The table `samples`; only base and normal rows are read.
        masks: Generated masks.
        options: `engine` and what it is tried with.
        judge: Says whether an image may be published.

    Returns:
        A row per type and engine: category, defect_type, engine, tried, accepted (of them; NaN
        where none was tried), share (of the type's images).
    """
    kinds = [tuple(map(str, kind)) for kind in sorted(_kinds(masks))]
    fixed = {"mixture": (TRANSFER, PASTE)}.get(options.engine, (options.engine,))
    if options.engine != "auto":
        rows = [(*kind, engine, 0, np.nan, 1 / len(fixed)) for kind in kinds for engine in fixed]
        return pd.DataFrame(rows, columns=list(_COLUMNS))
    rows, progress = [], Progress("engines: type", len(kinds))
    by_id = {sample.sample_id: sample for sample in each_sample(samples)}
    for number, (category, defect_type) in enumerate(kinds, start=1):
        placer = Placer(samples, masks, category, defect_type, options.placement)
        found = {e: _accepted(placer, e, by_id, options, judge) for e in (TRANSFER, PASTE)}
        best = max(found.values())
        kept = {e: a if a >= NEARLY * best else 0.0 for e, a in found.items()}
        if not best:
            kept = dict.fromkeys(found, 1.0)
            log.warning("%s/%s: no engine made an image that is accepted", category, defect_type)
        total = sum(kept.values())
        rows += [
            (category, defect_type, engine, options.trials, accepted, kept[engine] / total)
            for engine, accepted in found.items()
        ]
        progress(number)
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS = ("category", "defect_type", "engine", "tried", "accepted", "share")


def _kinds(masks: ImageSet) -> set[tuple[str, str]]:
    return set(zip(masks.manifest["category"], masks.manifest["defect_type"], strict=True))


def _accepted(
    placer: Placer,
    engine: str,
    samples: Mapping[str, Sample],
    options: SynthesisOptions,
    judge: Callable[[Made], Judged],
) -> float:
    """Share of some first attempts that are accepted, without a network."""
    accepted = 0
    for number in range(options.trials):
        kind = (placer.category, placer.defect_type)
        rng = np.random.default_rng(counter_seed(options.seed, "engines", engine, *kind, number))
        mask_row = placer.own.iloc[rng.integers(len(placer.own))]
        row = placer.draw(mask_row, engine, rng) | {"engine": engine}
        background, real = (samples[row[name]] for name in ("background", "reference"))
        mask = planned_mask(row, placer.masks, real.mask(), background.shape)
        pictures = background.image(), mask, real.image(), real.mask()
        image = begun(row, *pictures, options)
        told = SimpleNamespace(**row, category=kind[0], defect_type=kind[1])
        accepted += judge(Made(told, image, pictures[0], mask)).accepted
    return accepted / options.trials
