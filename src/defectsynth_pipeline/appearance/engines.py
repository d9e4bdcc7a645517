"""How a defect gets onto its background, and which way suits which type.

* transfer: a real defect's residual in the shape of the planned mask (`transfer`), then the
  network; its change is kept where it brings the image nearer to real ones.
* patch: the same, the residual put together from patches of several real defects (`patch`).
* paste: the real defect whole (`paste`), on a part with a strip of its surroundings, and no
  network.
* diffusion: what `compose.mode` says, the network's change always kept.

`inspection.engine_choice` tries them on every type and shares the images between those that help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import product
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from defectsynth_pipeline.appearance.paste import pasted, strip_of
from defectsynth_pipeline.appearance.patch import patched
from defectsynth_pipeline.appearance.plan import HARD, MEMBRANE, PASTE, PATCH, TRANSFER, Placer
from defectsynth_pipeline.appearance.transfer import transferred
from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.motion import Motion, landed_mask
from defectsynth_pipeline.imaging.pixels import fit_mask, from_float, to_float
from defectsynth_pipeline.options import SynthesisOptions
from defectsynth_pipeline.provenance import other_references
from defectsynth_pipeline.resumable import Progress

TRIED = (TRANSFER, PATCH, PASTE)  # by `auto`


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
        unlike: How far the image is from real ones; 0 where nobody looked.
    """

    accepted: bool
    mask: np.ndarray
    record: dict[str, Any]
    unlike: float = 0.0


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
    real: Callable[[str], tuple[np.ndarray, np.ndarray]],
    options: SynthesisOptions,
) -> np.ndarray:
    """Return the image that a row of the plan starts from, like its background.

    Args:
        row: Its engine, reference, motion, severity, blend, others and seed are used.
        background: (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, from `planned_mask`.
        real: Gives of a sample's id the image, uint8 or uint16, and the mask of its defect.
        options: How a residual is composed.
    """
    reference, real_mask = real(row["reference"])
    # Plans of before there were blends have none: all was feathered.
    how: dict[str, Any] = {"collar": 0.0 if row.get("blend") == HARD else options.compose.collar}
    if row["engine"] == PASTE:
        place, strip = (Motion.of(row), background), carried_strip(row, real_mask)
        membrane = row.get("blend") == MEMBRANE
        return pasted(reference, real_mask, *place, strip=strip, membrane=membrane, **how)
    if options.compose.mode != "exemplar":
        return background
    how |= {"severity": float(row["severity"]), "relative": options.compose.relative}
    if row["engine"] == PATCH:
        names = [row["reference"], *other_references(row)]
        exemplars = [(to_float(image), own) for image, own in map(real, names)]
        rng = np.random.default_rng(int(row["seed"]))
        return from_float(patched(background, mask, exemplars, rng, **how), background)
    given = background, mask, to_float(reference), real_mask
    return from_float(transferred(*given, degrees=float(row["angle"]), **how), background)


class Tried(NamedTuple):
    """A first attempt of an engine at an image of a defect type, without a network.

    Attributes:
        defect_type: Of the mask.
        engine: Its name.
        fold: Base samples of this fold have no part in it.
        accepted: Whether it may be published.
        image: As `Made`.
        mask: (H, W) bool, the one to publish.
    """

    defect_type: str
    engine: str
    fold: int
    accepted: bool
    image: np.ndarray
    mask: np.ndarray


def try_engines(
    samples: pd.DataFrame,
    masks: ImageSet,
    options: SynthesisOptions,
    judge: Callable[[Made], Judged],
    folds: Mapping[str, int],
) -> Iterator[Tried]:
    """Yield some first attempts of every engine at every type of a category.

    Args:
        samples: Rows of one category; only base and normal ones are read.
        masks: Generated masks.
        options: `trials` per type and engine, shared by the folds.
        judge: Says whether an image may be published.
        folds: Of the base samples; those of a fold have no part in its images.
    """
    by_id = {sample.sample_id: sample for sample in each_sample(samples)}
    category = str(samples["category"].iloc[0])
    mine = masks.manifest["category"] == category
    kinds = sorted(map(str, set(masks.manifest.loc[mine, "defect_type"])))
    numbers = sorted(set(folds.values()))
    progress = Progress(f"{category}: trying engines", len(kinds) * len(numbers))

    @lru_cache(maxsize=64)
    def picture(name: str) -> tuple[np.ndarray, np.ndarray]:
        return by_id[name].image(), by_id[name].mask()

    for done, (kind, fold) in enumerate(product(kinds, numbers), start=1):
        held = {name for name, of in folds.items() if of == fold}
        kept = samples[~samples["sample_id"].isin(held)] if len(numbers) > 1 else samples
        placer = Placer(kept, masks, category, kind, options.placement)
        for engine, number in product(TRIED, range(-(-options.trials // len(numbers)))):
            if placer.own.empty or not placer.real:
                break
            rng = np.random.default_rng(
                counter_seed(options.seed, "engines", engine, category, kind, fold, number)
            )
            row = placer.draw(placer.own.iloc[rng.integers(len(placer.own))], engine, rng)
            row |= {"engine": engine, "category": category, "defect_type": kind}
            background = picture(row["background"])[0]
            mask = planned_mask(row, masks, picture(row["reference"])[1], background.shape[:2])
            image = begun(row, background, mask, picture, options)
            judged = judge(Made(SimpleNamespace(**row), image, background, mask))
            yield Tried(kind, engine, fold, judged.accepted, image, judged.mask)
        progress(done)
