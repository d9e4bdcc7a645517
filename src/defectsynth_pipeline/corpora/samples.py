"""`samples`: one tidy row per real image, validated and split before anything else runs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from defectsynth_pipeline.corpora import deepcrack, gdxray
from defectsynth_pipeline.corpora.columns import COLUMNS, GOOD, to_table
from defectsynth_pipeline.corpora.deepcrack import make_deepcrack_samples
from defectsynth_pipeline.corpora.duplicates import (
    group_by_name,
    group_near_duplicates,
    warn_of_copies,
)
from defectsynth_pipeline.corpora.files import natural_key
from defectsynth_pipeline.corpora.gdxray import make_gdxray_samples
from defectsynth_pipeline.corpora.labelled import make_labelled_samples
from defectsynth_pipeline.corpora.labels.exports import find_labels
from defectsynth_pipeline.corpora.layout import MVTEC_LAYOUT, Corpus, find_corpora
from defectsynth_pipeline.corpora.least import check_masks, check_split
from defectsynth_pipeline.corpora.mvtec import category_folders, make_mvtec_samples
from defectsynth_pipeline.corpora.shots import keep_shots
from defectsynth_pipeline.corpora.split import assign_split, drop_duplicates
from defectsynth_pipeline.corpora.zones import check_zones
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions

_log = logging.getLogger(__name__)
_TYPE = ["corpus", "category", "defect_type"]


def make_samples(
    folders: Path | str | Sequence[Path | str], options: IngestOptions
) -> pd.DataFrame:
    """Read corpora, check every file, drop duplicates and split.

    Args:
        folders: One folder or several; each may hold one corpus or some, see `find_corpora`.
        options: Protocol of the split and the categories and types wanted.

    Returns:
        Columns `COLUMNS`, then `split_protocol` and `partition` as asked for; one row per sample,
        in natural order of sample_id.

    Raises:
        InputError: Anything about the folders that would make a later stage fail or cheat.
    """
    roots = [folders] if isinstance(folders, (str, Path)) else list(folders)
    corpora = _distinct([corpus for root in roots for corpus in find_corpora(root)])
    _check_known("category", options.categories, [c for x in corpora for c in _categories(x)])
    _check_known("label file", options.labels, [f for x in corpora for f in _label_files(x)])
    tables = [table for corpus in corpora if len(table := _read(corpus, options))]
    if not tables:
        raise InputError(
            "no normal images, nor any other, in the corpus folders",
            file=", ".join(str(corpus.root) for corpus in corpora),
            value="0 images",
            remedy=MVTEC_LAYOUT,
        )
    samples = _select_types(pd.concat(tables, ignore_index=True), options.defect_types)
    samples = _limit(_ordered(samples), options.max_defects)
    _check_ids(samples)
    check_masks(samples)
    samples = group_near_duplicates(group_by_name(samples, options.group_by))
    samples = assign_split(samples, options)
    warn_of_copies(samples)
    shots = min(options.shots or options.max_base, options.max_base)
    result = keep_shots(drop_duplicates(samples), shots, options.seed)
    check_split(result, options)
    check_zones(result, complete=options.categories is None)
    _log.info("samples per split: %s", result["split"].value_counts().to_dict())
    if options.licence is not None:
        result = result.assign(licence=options.licence)
    return result[COLUMNS].assign(split_protocol=options.protocol, partition=options.partition)


def _distinct(corpora: list[Corpus]) -> list[Corpus]:
    """Each root once; a second corpus of the same name gets a number."""
    names: dict[str, int] = {}
    found: dict[Path, Corpus] = {}
    for corpus in corpora:
        root = corpus.root.resolve()
        if root in found:
            continue
        names[corpus.name] = names.get(corpus.name, 0) + 1
        suffix = f"-{names[corpus.name]}" if names[corpus.name] > 1 else ""
        found[root] = Corpus(corpus.name + suffix, corpus.layout, corpus.root)
    return list(found.values())


def _categories(corpus: Corpus) -> list[str]:
    if corpus.layout == "mvtec":
        return [name for name, _ in category_folders(corpus.root)]
    if corpus.layout == "labels":
        return [corpus.root.resolve().name]
    return [gdxray.CATEGORY if corpus.layout == "gdxray" else deepcrack.CATEGORY]


def _label_files(corpus: Corpus) -> list[str]:
    return [*find_labels(corpus.root)] if corpus.layout == "labels" else []


def _read(corpus: Corpus, options: IngestOptions) -> pd.DataFrame:
    wanted = options.categories
    if wanted is not None and not set(wanted) & set(_categories(corpus)):
        return to_table([])
    if corpus.layout == "mvtec":
        return make_mvtec_samples(corpus.root, corpus.name, categories=wanted)
    if corpus.layout == "labels":
        return make_labelled_samples(corpus.root, corpus.name, options)
    if corpus.layout == "gdxray":
        return make_gdxray_samples(corpus.root, corpus.name, context=options.radiograph_context)
    return make_deepcrack_samples(corpus.root, corpus.name)


def _check_known(what: str, wanted: list[str] | None, known: Iterable[str]) -> None:
    for name in wanted or []:
        if name not in set(known):
            raise InputError(
                f"unknown {what}",
                file=f"options.ingest, {what}",
                value=name,
                remedy="choose from " + ", ".join(sorted(set(known))),
            )


def _select_types(samples: pd.DataFrame, wanted: list[str] | None) -> pd.DataFrame:
    """The wanted defect types, and the good samples of the categories that have them."""
    if wanted is None:
        return samples
    _check_known("defect type", wanted, set(samples["defect_type"]) - {GOOD})
    chosen = samples[samples["defect_type"].isin(wanted)]
    place = ["corpus", "category"]
    having = pd.MultiIndex.from_frame(chosen[place])
    good = (samples["defect_type"] == GOOD) & pd.MultiIndex.from_frame(samples[place]).isin(having)
    return samples[samples["defect_type"].isin(wanted) | good]


def _ordered(samples: pd.DataFrame) -> pd.DataFrame:
    names = samples["sample_id"].tolist()
    order = sorted(range(len(names)), key=lambda index: natural_key(names[index]))
    return samples.iloc[order].reset_index(drop=True)


def _limit(samples: pd.DataFrame, max_defects: int | None) -> pd.DataFrame:
    """The lowest ids of each type, and of what is derived from defective images only theirs."""
    if max_defects is None:
        return samples
    defective = samples["defect_type"] != GOOD
    kept = defective & (samples.groupby(_TYPE).cumcount() < max_defects)
    sources = set(samples.loc[kept, "image"])
    free = ~defective & ((samples["split"] != "") | samples["image"].isin(sources))
    return samples[kept | free].reset_index(drop=True)


def _check_ids(samples: pd.DataFrame) -> None:
    for _, row in samples[samples.duplicated("sample_id")].iterrows():
        raise InputError(
            "two images share one sample id",
            file=row["image"],
            value=row["sample_id"],
            remedy="rename one of the two files",
        )
