"""GDXray's weld series: large radiographs, cropped to square windows.

    Welds/W0001/W0001_0001.png   radiographs
    Welds/W0002/W0002_0001.png   their masks, of the same size

Every window of a corpus has one side, see `windows.window_side`, so that defects keep their
relative size. A window is a row of numbers; its pixels are cut when they are read.
GDXray names no kinds of weld defect, so there is one type, "defect".
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from defectsynth_pipeline.corpora.columns import GOOD, Row, sample_row, to_table
from defectsynth_pipeline.corpora.files import (
    SourceImage,
    check_pair,
    list_images,
    probe_images,
    probe_masks,
    read_bytes,
)
from defectsynth_pipeline.corpora.layout import weld_folder
from defectsynth_pipeline.corpora.windows import (
    Box,
    defect_windows,
    good_windows,
    window_side,
)
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_mask

CATEGORY = "weld"
DEFECT_TYPE = "defect"


def make_gdxray_samples(
    root: Path | str, corpus: str = "gdxray", *, context: float = 2.0
) -> pd.DataFrame:
    """Read a weld series and lay windows over its radiographs; no pixel is copied.

    Args:
        root: Folder that holds `W0001` and `W0002`, or a `Welds` with both.
        corpus: Name of the corpus, first part of every sample_id.
        context: Side of a window over the extent of a defect cluster, at least 1.

    Returns:
        One row per window, columns of `table.Row`, `split` "". Windows of one radiograph are one
        group; defect-free windows touch no defect.

    Raises:
        InputError: Unpaired, unreadable or ill-sized files, or no defect-free window at all.
    """
    base = Path(root)
    pairs = _pair(weld_folder(base) or base)
    images = probe_images(base, [image for image, _ in pairs])
    masks = probe_masks(base, [mask for _, mask in pairs])
    for image, mask in zip(images, masks, strict=True):
        check_pair(image, mask)
    defects = [_defect_boxes(base, mask.path) for mask in masks]
    short = min((min(image.width, image.height) for image in images), default=0)
    side = window_side(defects, context, short)
    rows: list[Row] = []
    for image, mask, boxes in zip(images, masks, defects, strict=True):
        ident = f"{corpus}/{CATEGORY}"
        rows += _window_rows(base, ident, image, mask.path, _windows(image, boxes, side))
    if rows and all(row["defect_type"] != GOOD for row in rows):
        raise InputError(
            "no normal images: no window of a radiograph is free of defects",
            file=base,
            value=f"windows of {side} px",
            remedy="lower radiograph_context, or add radiographs with fewer defects",
        )
    return to_table(rows)


def _pair(folder: Path) -> list[tuple[Path, Path]]:
    masks = {_number(path): path for path in list_images(folder / "W0002")}
    pairs = []
    for image in list_images(folder / "W0001"):
        mask = masks.pop(_number(image), None)
        if mask is None:
            raise InputError(
                "the image has no mask",
                file=image,
                value=f"no W0002_{_number(image)}.png in {folder / 'W0002'}",
                remedy="add the mask, or remove the radiograph",
            )
        pairs.append((image, mask))
    for mask in masks.values():
        raise InputError(
            "the mask has no image",
            file=mask,
            value=f"no W0001_{_number(mask)}.png in {folder / 'W0001'}",
            remedy="add the radiograph, or remove the mask",
        )
    return pairs


def _number(path: Path) -> str:
    return re.sub(r"^W\d{4}_", "", path.stem)


def _defect_boxes(root: Path, path: Path) -> list[Box]:
    labels, _ = ndimage.label(decode_mask(read_bytes(root, path), path), np.ones((3, 3)))
    return [Box(y.start, x.start, y.stop, x.stop) for y, x in ndimage.find_objects(labels)]


def _windows(image: SourceImage, boxes: list[Box], side: int) -> dict[str, list[Box]]:
    defective = defect_windows(boxes, side, image.height, image.width)
    good = good_windows(boxes, defective, side, image.height, image.width)
    return {DEFECT_TYPE: defective, GOOD: good}


def _window_rows(
    root: Path, ident: str, image: SourceImage, mask: Path, windows_of: dict[str, list[Box]]
) -> list[Row]:
    rows = []
    for defect_type, windows in windows_of.items():
        for box in sorted(windows, key=lambda box: (box.left, box.top)):
            stem = f"{image.path.stem}-x{box.left:05d}y{box.top:05d}"
            rows.append(
                sample_row(
                    image,
                    sample_id=f"{ident}/{defect_type}/{stem}",
                    root=root,
                    mask=mask if defect_type == DEFECT_TYPE else None,
                    window=(box.left, box.top, box.right - box.left, box.bottom - box.top),
                    group=f"{ident}/{image.path.stem}",
                )
            )
    return rows
