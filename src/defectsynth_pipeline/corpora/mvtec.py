"""MVTec AD's layout, also the way in for one's own images.

<category>/train/good/*.png                   defect-free
<category>/test/good/*.png                    defect-free, kept for the evaluation
<category>/test/<type>/<stem>.png             defective
<category>/ground_truth/<type>/<stem>_mask.png or <stem>.png
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD, Row, sample_row, to_table
from defectsynth_pipeline.corpora.files import (
    list_folders,
    list_images,
    match_masks,
    probe_images,
    read_pairs,
)
from defectsynth_pipeline.corpora.layout import MVTEC_LAYOUT, is_category
from defectsynth_pipeline.corpora.licences import find_licence
from defectsynth_pipeline.errors import InputError

_log = logging.getLogger(__name__)


def category_folders(root: Path) -> list[tuple[str, Path]]:
    """Name and folder of every category: the sub-folders, or the root if it is one itself."""
    if is_category(root):
        return [(root.resolve().name, root)]
    return [(folder.name, folder) for folder in list_folders(root) if is_category(folder)]


def make_mvtec_samples(
    root: Path | str, corpus: str = "mvtec", *, categories: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read an MVTec AD tree, or a single category of one.

    Args:
        root: Folder of the categories, or of one category.
        corpus: Name of the corpus, first part of every sample_id.
        categories: The categories to read; all if None.

    Returns:
        One row per image with the columns of `COLUMNS`; `split` is "" for defective images.

    Raises:
        InputError: Unpaired, unreadable or ill-sized files.
    """
    base = Path(root)
    rows: list[Row] = []
    for category, folder in category_folders(base):
        if categories is None or category in categories:
            own = _category_rows(base, folder, corpus, category)
            licence = find_licence(base, [folder, base])
            rows += [{**row, "licence": licence} for row in own]
    return to_table(rows)


def _category_rows(root: Path, folder: Path, corpus: str, category: str) -> list[Row]:
    ident = f"{corpus}/{category}"
    normal = list_images(folder / "train" / GOOD)
    if not normal:
        raise InputError(
            f"category {category} has no normal images",
            file=folder / "train" / GOOD,
            value="0 images",
            remedy="put photographs of defect-free parts there, 20 or more",
        )
    _warn_of_unread(folder)
    rows = _good_rows(root, normal, f"{ident}/{GOOD}/train-", "normal")
    rows += _good_rows(root, list_images(folder / "test" / GOOD), f"{ident}/{GOOD}/test-", "test")
    names = {path.name for part in ("test", "ground_truth") for path in list_folders(folder / part)}
    for defect_type in sorted(names - {GOOD}):
        rows += _defect_rows(root, folder, defect_type, ident)
    return rows


def _good_rows(root: Path, paths: list[Path], prefix: str, split: str) -> list[Row]:
    # train/good/000 and test/good/000 are two images, hence the prefix in the id.
    return [
        sample_row(image, sample_id=prefix + image.path.stem, root=root, split=split)
        for image in probe_images(root, paths)
    ]


def _defect_rows(root: Path, folder: Path, defect_type: str, ident: str) -> list[Row]:
    images, masks = folder / "test" / defect_type, folder / "ground_truth" / defect_type
    pairs = match_masks(images, masks, endings=("_mask", ""), layout=MVTEC_LAYOUT)
    return [
        sample_row(
            image, sample_id=f"{ident}/{defect_type}/{image.path.stem}", root=root, mask=mask.path
        )
        for image, mask in read_pairs(root, pairs)
    ]


def _warn_of_unread(folder: Path) -> None:
    for path in list_folders(folder / "train"):
        if path.name != GOOD:
            _log.warning("%s is not read: defective images belong into test/<type>", path)
