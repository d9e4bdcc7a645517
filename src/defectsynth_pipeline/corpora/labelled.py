"""Folders of images with the export of a labelling tool: COCO, LabelMe, CVAT, Label Studio, YOLO.

<category>/annotations.json        or another export, see `labels.exports.find_labels`
<category>/**/001.png              the images that it names, wherever they lie below
<category>/**/good/*.png           more good ones, if any

One sample per image. Its type is the label that covers most of it, its mask all that is labelled:
a defect left out of the mask would teach a detector that it is none. The mask is drawn whenever it
is read, see `labels.exports.LabelMask`; nothing is written.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import ALL_TYPES, GOOD, Row, sample_row, to_table
from defectsynth_pipeline.corpora.files import SourceImage, probe_images
from defectsynth_pipeline.corpora.labels.exports import (
    LabelMask,
    all_files,
    find_labels,
    read_labels,
)
from defectsynth_pipeline.corpora.labels.matching import (
    images_of,
    in_good,
    is_image,
    short_names,
)
from defectsynth_pipeline.corpora.labels.regions import (
    BOX,
    LINE,
    POLYGON,
    Labelled,
    Region,
    covered,
)
from defectsynth_pipeline.corpora.licences import find_licence
from defectsynth_pipeline.corpora.zones import ZONES
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions

_log = logging.getLogger(__name__)
_TESTED = 5  # every fifth good image is kept for the evaluation, where no folder says which
_WHOLE = 0.95  # share of an image beyond which a mask is no defect's


class _Found(NamedTuple):
    """A problem of one region."""

    problem: str
    remedy: str
    where: str = ""
    file: Path = Path()


def make_labelled_samples(root: Path | str, corpus: str, options: IngestOptions) -> pd.DataFrame:
    """Read one category that is labelled in an export.

    Images that the export lists without a region are good; so are those in a folder `good`. Other
    images that it does not list are not labelled and not read (in YOLO there is no list: an image
    without a text file is good).

    Args:
        root: Folder of the category, whose name it takes.
        corpus: Name of the corpus, first part of every sample_id.
        options: `labels`, `boxes`, `line_width`; with a `base_share` of 1 no good image is kept
            for an evaluation.

    Returns:
        One row per image, columns of `COLUMNS`; `split` is "" for defective images.

    Raises:
        InputError: Label files that contradict one another or their images, or regions that are no
            masks.
    """
    base = Path(root)
    listed = [one for file in _chosen(base, options) for one in read_labels(base, file)]
    files = [name for name in all_files(base) if PurePosixPath(name).parts[0] != ZONES]
    labelled = images_of(base, listed, files)
    _check_labels(base, listed)
    images = [name for name in files if is_image(name)]
    names = [*labelled, *(n for n in images if in_good(n) and n not in labelled)]
    _warn_of_unlisted(base, images, {*names})
    short, problems, told = short_names(names), [], Counter[str]()
    rows: list[Row] = []
    for source in probe_images(base, [base / name for name in names]):
        name = source.path.relative_to(base).as_posix()
        one = labelled.get(name)
        found = _masks(base, one, source, options, told) if one is not None else ({}, [])
        problems += found[1]
        rows.append(_row(base, corpus, short[name], source, one, found[0], options))
        told["mixed"] += len(found[0]) > 1
    _refuse(problems)
    _warn(base, told)
    return to_table([*_good_split(rows, options)]).assign(licence=find_licence(base, [base]))


def _row(
    root: Path,
    corpus: str,
    name: str,
    source: SourceImage,
    one: Labelled | None,
    shown: dict[str, np.ndarray],
    options: IngestOptions,
) -> Row:
    """The row of an image with some masks by their labels."""
    areas = {label: int(mask.sum()) for label, mask in shown.items()}
    kind = max(sorted(areas), key=areas.__getitem__) if areas else GOOD
    ident = f"{corpus}/{root.resolve().name}/{kind}/{name}"
    if one is None or not areas:
        return sample_row(source, sample_id=ident, root=root)
    if np.logical_or.reduce([*shown.values()]).mean() > _WHOLE:
        raise InputError(
            "the labels cover almost the whole image",
            file=root / one.file,
            value=one.name,
            remedy="outline the defect, or leave the image out",
        )
    drawn = LabelMask(one.file, one.name, options.line_width or 0)
    return sample_row(source, sample_id=ident, root=root, mask=root / str(drawn))


def _chosen(root: Path, options: IngestOptions) -> list[str]:
    """The label files to read: the one export, or what `labels` names."""
    found = find_labels(root)
    named = [file for file in options.labels or [] if file in found]
    files = named or [*found]
    kinds = {found[file] for file in files}
    folders = Counter(Path(file).parent for file in files if found[file] != "LabelMe")
    if not named and (len(kinds) > 1 or max(folders.values(), default=1) > 1):
        # Roboflow's train/, valid/ and test/ have one each.
        shown = [f"{file} ({found[file]})" for file in files]
        more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
        raise InputError(
            "two label exports lie in one folder",
            file=root,
            value=", ".join(shown[:4]) + more,
            remedy=f"remove all but one, or name it: --params=ingest.labels={files[0]}",
        )
    return files


def _check_labels(root: Path, listed: Sequence[Labelled]) -> None:
    """Refuse labels that are no names of types, and images that only have a type's name."""
    labels = {region.label for one in listed for region in one.regions}
    for one in listed:
        for region in one.regions:
            label = region.label
            if not label or label != label.strip() or set(label) & set("/\\|\n\t"):
                problem = "a region has no label" if not label.strip() else "a label is no name"
            elif label in (GOOD, ALL_TYPES):
                problem = "a label has a name that the tables use otherwise"
            else:
                continue
            raise InputError(
                problem,
                file=root / one.file,
                value=f"{label!r}, {region.where} of {one.name}",
                remedy="rename it in the labelling tool: no / \\ | nor spaces around it",
            )
        if not one.regions and set(one.tags) & labels:
            raise InputError(
                "an image has a defect's name but no region",
                file=root / one.file,
                value=f"{one.name}: {', '.join(one.tags)}",
                remedy="draw where the defect is, or leave the image out of the export",
            )


def _masks(
    root: Path,
    one: Labelled,
    source: SourceImage,
    options: IngestOptions,
    told: Counter[str],
) -> tuple[dict[str, np.ndarray], list[_Found]]:
    """The mask of each label on an image, and what is wrong with its regions."""
    size = (source.width, source.height)
    if one.size not in (None, size):
        raise InputError(
            "the labels are for an image of another size",
            file=root / one.file,
            value="{}: labels {}x{}, image {}x{}".format(one.name, *(one.size or ()), *size),
            remedy="export the labels of the images as they are in the folder",
        )
    shown: dict[str, np.ndarray] = {}
    problems: list[_Found] = []
    for region in one.regions:
        found = _no_mask(region, options)
        if found is None:
            try:
                mask, cut = covered(region, size[::-1], options.line_width or 1)
            except (ValueError, TypeError, OSError, IndexError) as error:
                found = _Found("a region is malformed", "draw it anew", f": {error}")
            else:
                told["boxes"] += region.drawn == BOX
                told["cut"] += cut
                if mask.any():
                    shown[region.label] = mask | shown.get(region.label, False)
                elif cut:
                    remedy = "move or delete it; coordinates must be pixels of this image"
                    found = _Found("a region lies wholly outside its image", remedy)
                else:
                    found = _Found("a region covers no pixel", "draw it anew, or delete it")
        if found is not None:
            where = f"{region.where} ({region.label}) of {one.name} {found.where}".strip()
            problems.append(found._replace(file=root / one.file, where=where))
    return shown, problems


def _no_mask(region: Region, options: IngestOptions) -> _Found | None:
    if region.drawn == BOX and options.boxes == "refuse":
        remedy = (
            "outline the defects (few will do; see docs/own_data.md), or take each rectangle as "
            "the defect's shape: --params=ingest.boxes=fill"
        )
        return _Found("a box says where a defect is, not which pixels it has", remedy)
    if region.drawn == LINE and options.line_width is None:
        remedy = "say how many pixels wide it is, --params=ingest.line_width=5, or outline it"
        return _Found("a line has no width", remedy)
    if region.bitmap is None and not region.outlines and region.drawn not in (BOX, LINE, POLYGON):
        return _Found(f"a {region.drawn} covers no pixels", "outline the defect, or delete it")
    return None


def _refuse(problems: Sequence[_Found]) -> None:
    if not problems:
        return
    first = problems[0]
    count = sum(found.problem == first.problem for found in problems)
    more = f", and {count - 1} more like it" if count > 1 else ""
    raise InputError(first.problem, file=first.file, value=first.where + more, remedy=first.remedy)


def _warn(root: Path, told: Counter[str]) -> None:
    if told["boxes"]:
        _log.warning(
            "%s: %d boxes are taken as masks, filled: place and size are right, the shape is not; "
            "generated defects and what a detector outlines will be rectangles",
            root,
            told["boxes"],
        )
    if told["cut"]:
        _log.warning("%s: %d regions reach beyond their image and are cut off", root, told["cut"])
    if told["mixed"]:
        _log.warning(
            "%s: %d images show several defect types; each counts as the one that covers most of "
            "it, and its mask has all of them",
            root,
            told["mixed"],
        )


def _warn_of_unlisted(root: Path, images: Sequence[str], read: set[str]) -> None:
    left = [name for name in images if name not in read]
    if left:
        _log.warning(
            "%s: %d images are not in the labels and are not read, the first is %s; good ones "
            "belong into a folder good",
            root,
            len(left),
            left[0],
        )


def _good_split(rows: Sequence[Row], options: IngestOptions) -> Iterator[Row]:
    """The rows, with the side of the good ones: as their folders say, else every fifth is test."""
    free = 0
    for row in rows:
        if row["defect_type"] != GOOD:
            yield row
            continue
        parts = PurePosixPath(row["image"]).parts
        if in_good(row["image"]) and {"train", "test"} & {*parts}:
            yield {**row, "split": "test" if "test" in parts else "normal"}
            continue
        free += 1
        tested = free % _TESTED == 0 and options.base_share < 1
        yield {**row, "split": "test" if tested else "normal"}
