"""The plan of a set of masks: which parents, where between them, with which seed."""

from __future__ import annotations

import hashlib
import re
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.shape.area import distinct_frames
from defectsynth_pipeline.shape.geometry import cut_alike
from defectsynth_pipeline.shape.parents import Parents, base_types, mask_size

COLUMNS = [
    "image_id",
    "category",
    "defect_type",
    "parents",
    "alpha",
    "space",
    "way",
    "seed",
    "width",
    "height",
]
Pair = tuple[str, str]


def plan_masks(samples: pd.DataFrame, table: pd.DataFrame, options: MaskOptions) -> pd.DataFrame:
    """Decide every mask before one is made.

    Each row holds all that its mask depends on, so any subset in any order gives the same masks.
    Rows beyond what the pairs can give are planned as variations ("varied").

    Args:
        samples: The `samples` table; parents come from split "base" only.
        table: From `area.area_ratio_table`.
        options: count, per, method, frames per pair, pairs by name, seed.

    Returns:
        Columns image_id, category, defect_type, parents ("id|id"), alpha in (0, 1), space, way,
        seed, width, height.

    Raises:
        InputError: No defect type, a type with one mask, or a pair that does not exist.
    """
    types = dict(base_types(samples))
    if not types:
        raise InputError(
            "no base sample with a mask, so there is nothing to interpolate",
            file="samples",
            value=f"{len(samples)} samples",
            remedy="add defective images with masks, or raise ingest.base_share",
        )
    _check_pair_types(options, list(types))
    spaces = table.set_index(["category", "defect_type"])["space"]
    counts = split_count(options.count, options.per, len(types))
    rows: list[dict[str, object]] = []
    for (name, group), count in zip(types.items(), counts, strict=True):
        rows += _plan_type(name, group, str(spaces.loc[name]), count, options)
    return pd.DataFrame(rows, columns=COLUMNS)


def split_count(count: int, per: Literal["run", "type"], kinds: int) -> list[int]:
    """How many images each of `kinds` defect types gets; per "run" spreads `count` evenly."""
    if per == "type":
        return [count] * kinds
    return [count // kinds + (index < count % kinds) for index in range(kinds)]


def file_safe(category: str, defect_type: str) -> str:
    """An ASCII name for a type, unlike any other type's, that can be part of a file name."""
    name = f"{category}-{defect_type}"
    safe = re.sub(r"[^A-Za-z0-9_]+", "_", name.replace("-", "_"))
    if name.count("-") == 1 and safe == name.replace("-", "_") and safe[0].isalnum():
        return name
    return f"m{safe}-{hashlib.sha256(f'{category}/{defect_type}'.encode()).hexdigest()[:6]}"


def _plan_type(
    name: Pair, group: pd.DataFrame, space: str, count: int, options: MaskOptions
) -> list[dict[str, object]]:
    height, width = mask_size(group, options.max_side)
    rng = np.random.default_rng(counter_seed(options.seed, "/".join(name)))
    if space in ("perlin", "geometric"):
        ids = group["sample_id"].astype(str).tolist()
        order = rng.permutation(len(ids))
        turns = [ids[order[index % len(ids)]] for index in range(count)]
        frames = [((sample, sample), 0.0, space) for sample in turns]
    else:
        parents = Parents(group, (height, width), options.tolerance)
        pairs = _pairs(name, group, options)
        if not parents.branching and not options.pairs.get("/".join(name)):
            # Between a part broken at its top and one broken at its left there is none; cracks go
            # stroke by stroke, wherever they run out of the image.
            cut = {sample: found.contact for sample, found in parents.measures.items()}
            pairs = [(a, b) for a, b in pairs if cut_alike(cut[a], cut[b])] or pairs
        frames = _frames(pairs, parents, count, options, rng)
    prefix = file_safe(*name)
    ids = [f"{prefix}-{index:05d}" for index in range(count)]
    return [
        {
            "image_id": image_id,
            "category": name[0],
            "defect_type": name[1],
            "parents": "|".join(dict.fromkeys(pair)),
            "alpha": alpha,
            "space": space,
            "way": way,
            "seed": counter_seed(options.seed, image_id),
            "width": width,
            "height": height,
        }
        for image_id, (pair, alpha, way) in zip(ids, frames, strict=True)
    ]


def _frames(
    pairs: list[Pair],
    parents: Parents,
    count: int,
    options: MaskOptions,
    rng: np.random.Generator,
) -> list[tuple[Pair, float, str]]:
    """Spread `count` masks over pairs first and frames second; then vary what was planned."""
    planned: list[tuple[int, int, Pair, float]] = []
    for rank, index in enumerate(rng.permutation(len(pairs))):
        pair = pairs[index]
        first, second = (parents.measures[sample] for sample in pair)
        frames = distinct_frames(first, second, options.frames_per_pair)
        alphas = np.arange(1, frames + 1) / (frames + 1)
        planned += [
            (turn, rank, pair, float(alpha)) for turn, alpha in enumerate(rng.permutation(alphas))
        ]
    planned.sort(key=lambda frame: frame[:2])
    chosen = [(pair, alpha, "interpolated") for _, _, pair, alpha in planned[:count]]
    for index in range(count - len(chosen)):
        _, _, pair, alpha = planned[index % len(planned)]
        chosen.append((pair, alpha, "varied"))
    return chosen


def _pairs(name: Pair, group: pd.DataFrame, options: MaskOptions) -> list[Pair]:
    """All pairs of base masks of a type, or those named by the user."""
    key = "/".join(name)
    if options.pairs.get(key):
        return [
            (_named(key, first, group), _named(key, second, group))
            for first, second in options.pairs[key]
        ]
    ids = group["sample_id"].astype(str).tolist()
    if len(ids) < 2:
        raise InputError(
            "a defect type has one base mask; interpolation needs two",
            file=f"{group.iloc[0]['root']}/{group.iloc[0]['mask']}",
            value=key,
            remedy="add a second image of this defect, raise ingest.base_share, leave the type "
            "out, or use masks.method=geometric",
        )
    return list(combinations(ids, 2))


def _named(key: str, name: str, group: pd.DataFrame) -> str:
    """The base sample called `name`: its id, or the last part of it."""
    ids = group["sample_id"].astype(str).tolist()
    found = [sample for sample in ids if name in (sample, sample.rsplit("/", 1)[-1])]
    if len(found) == 1:
        return found[0]
    problem = "names several base samples" if found else "is not a base sample of its type"
    raise InputError(
        f"a mask pair {problem}",
        file=f"masks.pairs[{key!r}]",
        value=name,
        remedy="use one of: " + ", ".join(ids[:8]) + (", ..." if len(ids) > 8 else ""),
    )


def _check_pair_types(options: MaskOptions, types: list[Pair]) -> None:
    known = ["/".join(name) for name in types]
    for key in options.pairs:
        if key not in known:
            raise InputError(
                "mask pairs are given for a defect type that has no base masks",
                file="masks.pairs",
                value=key,
                remedy="write category/defect_type, one of: " + ", ".join(known),
            )
