"""Base, test and normal: decided once, before anything looks at a pixel."""

from __future__ import annotations

import logging
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD, PIXELS, THUMBNAIL, UNUSED
from defectsynth_pipeline.corpora.files import natural_key
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions

_log = logging.getLogger(__name__)
MIN_BASE = 2


def assign_split(samples: pd.DataFrame, options: IngestOptions) -> pd.DataFrame:
    """Decide the side of every sample whose `split` is empty.

    Defective samples are divided per category and defect type, a group at a time. With
    `random_third` one seeded shuffle is cut into three disjoint parts and `partition` says which
    is the base (Sec. V-A1); with `lowest_third` it is the lowest ids (Sec. V-A2). The base has
    at least two samples where the type has two, of two groups where it has three (so below six
    partitions may overlap), and at most `max_base` groups: `shots.keep_shots` then takes the
    samples, different groups first. What is left over is test. Defect-free samples that were
    derived from a defective image go where their group goes: to test with test, else to normal.

    Args:
        samples: Columns of `COLUMNS`.
        options: Protocol, partition, share, cap, seed.

    Returns:
        A copy with `split` in {"base", "test", "normal"}.
    """
    result = samples.copy()
    defective = result["defect_type"] != GOOD
    base_of: dict[str, bool] = {}
    for (_, category, defect_type), rows in result[defective].groupby(
        ["corpus", "category", "defect_type"], sort=True
    ):
        base_of |= _choose(rows, f"{category}/{defect_type}", options, base_of)
    in_base = result["group"].map(base_of)
    undecided = result["split"] == ""
    result.loc[undecided, "split"] = "test"
    result.loc[undecided & defective & (in_base == True), "split"] = "base"  # noqa: E712
    result.loc[undecided & ~defective & (in_base != False), "split"] = "normal"  # noqa: E712
    return result


def folds_of(real: Sequence[Sample], count: int) -> list[int]:
    """Return a fold below `count` per defective sample; those of one group share one.

    In the order of the samples, so that a type's parts are spread over the folds. A type whose
    samples are all of one group is held out sample by sample.
    """
    groups: dict[str, set[str]] = {}
    for sample in real:
        groups.setdefault(sample.defect_type, set()).add(sample.group)
    parts = [s.group if len(groups[s.defect_type]) > 1 else s.sample_id for s in real]
    numbers = {part: number % count for number, part in enumerate(dict.fromkeys(parts))}
    return [numbers[part] for part in parts]


def drop_duplicates(samples: pd.DataFrame) -> pd.DataFrame:
    """Drop images that occur twice in one place; refuse those that occur on two sides.

    Two files are the same image if their decoded pixels are equal, whatever their format.

    Args:
        samples: Columns of `COLUMNS`, `split` decided.

    Returns:
        The samples without the columns `pixels` and `thumbnail`.

    Raises:
        InputError: One image under two splits, categories or defect types.
    """
    files = samples.drop_duplicates(["root", "image"])
    dropped: set[tuple[str, str]] = set()
    for _, same in files[files.duplicated(PIXELS, keep=False)].groupby(PIXELS, sort=False):
        first = same.iloc[0]
        for _, other in same.iloc[1:].iterrows():
            _check_same_place(first, other)
            _log.warning("%s repeats %s and is left out", other["image"], first["image"])
            dropped.add((other["root"], other["image"]))
    keep = [key not in dropped for key in zip(samples["root"], samples["image"], strict=True)]
    return samples[keep].drop(columns=[PIXELS, THUMBNAIL]).reset_index(drop=True)


def assert_no_test(samples: pd.DataFrame, shas: Iterable[str], where: str) -> None:
    """Guard: no test image may reach a generator, a reference bank or a mask parent.

    Nor may what `ingest.shots` or `ingest.max_base` left out.

    Args:
        samples: The table `samples`.
        shas: sha256 of the samples about to be used.
        where: What is about to use them, for the message.

    Raises:
        InputError: One of them belongs to a test sample, or to one that is not to be used.
    """
    barred = samples[samples["split"].isin(["test", UNUSED])].drop_duplicates("sha256")
    sides = barred.set_index("sha256")
    for sha in shas:
        if sha in sides.index:
            found = sides.loc[sha]
            article = "an" if found["split"] == UNUSED else "a"
            raise InputError(
                f"{article} {found['split']} image reached {where}",
                file=found["sample_id"],
                value=f"sha256 {sha}",
                remedy="use only samples whose split is base or normal; run ingest again",
            )


def split_settings(samples: pd.DataFrame) -> dict[str, object]:
    """Return `partition` and `split_protocol`, the same in every row of `samples`."""
    first = samples.iloc[0]
    return {"partition": int(first["partition"]), "split_protocol": str(first["split_protocol"])}


def _choose(
    rows: pd.DataFrame, name: str, options: IngestOptions, decided: dict[str, bool]
) -> dict[str, bool]:
    """Whether each group of one defect type is base, True, or test, False.

    A group that another type has too keeps the side it was given there.
    """
    sizes = Counter(group for group in rows["group"] if group not in decided)
    groups = sorted(sizes, key=natural_key)
    start, end = 0, int(len(rows) * options.base_share + 1e-9)
    if options.protocol == "random_third":
        # The seed holds the name, so adding a type does not reshuffle the others.
        rng = np.random.default_rng([options.seed, zlib.crc32(name.encode())])
        groups = [groups[index] for index in rng.permutation(len(groups))]
        start = options.partition * len(rows) // 3
        end = max(start, (options.partition + 1) * len(rows) // 3)
        if not np.isclose(options.base_share, 1 / 3):
            end = start + int(len(rows) * options.base_share + 1e-9)
    ordered = [sizes[group] for group in groups]
    middles = np.cumsum(ordered) - np.asarray(ordered) / 2
    first = int(np.searchsorted(middles, start))
    skipped = sum(ordered[:first])
    base = {group for group in rows["group"] if decided.get(group)}
    count = int(rows["group"].isin(base).sum())
    fewest = MIN_BASE if rows["group"].nunique() > MIN_BASE else 1
    for group in groups[first:] + groups[:first]:
        enough = count >= MIN_BASE and len(base) >= fewest
        within = skipped + count + sizes[group] / 2 < end
        if enough and not (within and len(base) < options.max_base):
            break
        base.add(group)
        count += sizes[group]
    return {group: group in base for group in groups}


def _check_same_place(first: pd.Series, other: pd.Series) -> None:
    """Raise unless two copies of one image have the same split, category and defect type."""
    both = [f"{row['split']} {row['category']}/{row['defect_type']}" for row in (first, other)]
    if both[0] == both[1]:
        return
    raise InputError(
        "one image occurs in two places, so training and test would share it",
        file=f"{first['root']}/{first['image']} and {other['root']}/{other['image']}",
        value=f"{both[0]} and {both[1]}",
        remedy="remove one of the two files",
    )
