"""DeepCrack's layout: cracked surfaces, and defect-free counterparts made by removing the crack.

    train_img/*.jpg  train_lab/*.png  test_img/*.jpg  test_lab/*.png

The dataset has no defect-free images, so the paper synthesises them from the cracked ones
(Sec. IV-A1, without saying how). Here a counterpart is a row with `derivation="crack_removed"`;
its pixels are made when it is read, see `inpainting`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD, Row, sample_row, to_table
from defectsynth_pipeline.corpora.files import (
    SourceImage,
    SourceMask,
    match_masks,
    natural_key,
    read_pairs,
)
from defectsynth_pipeline.corpora.licences import find_licence
from defectsynth_pipeline.errors import InputError

CATEGORY = "pavement"
DEFECT_TYPE = "crack"
# Beyond this share of crack pixels most of a counterpart would be invented.
MAX_REMOVED_RATIO = 0.06


def make_deepcrack_samples(root: Path | str, corpus: str = "deepcrack") -> pd.DataFrame:
    """Read a DeepCrack tree.

    Its own train and test parts are pooled: the protocols of the paper split afresh. Names such
    as `11296-11` and `11296-20` are cut from one photograph and form one group, which stays on
    one side of the split together with its counterparts.

    Args:
        root: Folder that holds `train_img` and the other three.
        corpus: Name of the corpus, first part of every sample_id.

    Returns:
        One row per cracked image and per counterpart, columns of `COLUMNS`, `split` "".

    Raises:
        InputError: Unpaired, unreadable or ill-sized files.
    """
    base = Path(root)
    files = [
        pair
        for part in ("train", "test")
        for pair in match_masks(base / f"{part}_img", base / f"{part}_lab")
    ]
    files.sort(key=lambda pair: natural_key(pair[0].stem))
    pairs = read_pairs(base, files)
    rows: list[Row] = []
    for image, mask in pairs:
        rows += _rows(base, corpus, image, mask)
    if rows and all(row["defect_type"] != GOOD for row in rows):
        raise InputError(
            "no normal images: every crack is too large to be removed",
            file=base,
            value=f"{min(mask.area_ratio for _, mask in pairs):.1%} of the image or more",
            remedy=f"add images with less than {MAX_REMOVED_RATIO:.0%} of crack pixels",
        )
    return to_table(rows).assign(licence=find_licence(base, [base]))


def _rows(root: Path, corpus: str, image: SourceImage, mask: SourceMask) -> list[Row]:
    stem = image.path.stem
    ident = f"{corpus}/{CATEGORY}"
    group = f"{ident}/{_photograph(stem)}"
    rows = [
        sample_row(
            image,
            sample_id=f"{ident}/{DEFECT_TYPE}/{stem}",
            root=root,
            mask=mask.path,
            group=group,
        )
    ]
    if mask.area_ratio <= MAX_REMOVED_RATIO:
        rows.append(
            sample_row(
                image,
                sample_id=f"{ident}/{GOOD}/{stem}",
                root=root,
                derivation="crack_removed",
                mask_of=mask.path,
                group=group,
            )
        )
    return rows


def _photograph(stem: str) -> str:
    return re.sub(r"[-_]\d{1,2}$", "", stem) or stem
