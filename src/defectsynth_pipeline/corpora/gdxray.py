"""GDXray's weld series: large radiographs, cropped to square windows.

    Welds/W0001/W0001_0001.png   radiographs
    Welds/W0002/W0002_0001.png   their masks, of the same size

Every window of a corpus has one side, see `window_side`, so that defects keep their
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
from defectsynth_pipeline.corpora.files import SourceImage, match_masks, read_bytes, read_pairs
from defectsynth_pipeline.corpora.layout import weld_folder
from defectsynth_pipeline.corpora.licences import find_licence
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_mask
from defectsynth_pipeline.imaging.rectangle import Rectangle

CATEGORY = "weld"
DEFECT_TYPE = "defect"
MIN_SIDE = 128
MAX_GOOD_PER_RADIOGRAPH = 16


def make_gdxray_samples(
    root: Path | str, corpus: str = "gdxray", *, context: float = 2.0
) -> pd.DataFrame:
    """Read a weld series and lay windows over its radiographs; no pixel is copied.

    Args:
        root: Folder that holds `W0001` and `W0002`, or a `Welds` with both.
        corpus: Name of the corpus, first part of every sample_id.
        context: Side of a window over the extent of a defect cluster, at least 1.

    Returns:
        One row per window, columns of `COLUMNS`, `split` "". Windows of one radiograph are one
        group; defect-free windows touch no defect.

    Raises:
        InputError: Unpaired, unreadable or ill-sized files, or no defect-free window at all.
    """
    base = Path(root)
    folder = weld_folder(base) or base
    pairs = read_pairs(base, match_masks(folder / "W0001", folder / "W0002", key=_number))
    defects = [_defect_boxes(base, mask.path) for _, mask in pairs]
    short = min((min(image.width, image.height) for image, _ in pairs), default=0)
    side = window_side(defects, context, short)
    rows: list[Row] = []
    for (image, mask), boxes in zip(pairs, defects, strict=True):
        ident = f"{corpus}/{CATEGORY}"
        rows += _window_rows(base, ident, image, mask.path, _windows(image, boxes, side))
    if rows and all(row["defect_type"] != GOOD for row in rows):
        raise InputError(
            "no normal images: no window of a radiograph is free of defects",
            file=base,
            value=f"windows of {side} px",
            remedy="lower radiograph_context, or add radiographs with fewer defects",
        )
    return to_table(rows).assign(licence=find_licence(base, list(dict.fromkeys((folder, base)))))


def window_side(defects: list[list[Rectangle]], context: float, short: int) -> int:
    """The one side of all windows of a corpus, so that defects keep their relative size.

    It is the 90th percentile of the extents of the defect clusters times the context, a multiple
    of 8, at least 128 px and at most the short side of the smallest radiograph. A cluster joins
    defects that are closer than the median extent of the radiograph's defects.

    Args:
        defects: Boxes of the defects of each radiograph.
        context: Side of a window over the extent of a cluster, at least 1.
        short: Short side of the smallest radiograph in pixels.

    Returns:
        Side in pixels.
    """
    extents = [extent for boxes in defects for extent in _cluster_extents(boxes)]
    wanted = context * float(np.percentile(extents, 90)) if extents else MIN_SIDE
    return min(max(8 * round(wanted / 8), MIN_SIDE), short)


def defect_windows(boxes: list[Rectangle], side: int, height: int, width: int) -> list[Rectangle]:
    """Few squares of one side that together show every defect whole.

    Args:
        boxes: Bounding boxes of the defects.
        side: Side of the windows in pixels.
        height: Height of the radiograph.
        width: Width of the radiograph.

    Returns:
        Windows inside the image; larger than `side` only where a single defect is.
    """
    left_to_right = sorted(boxes, key=lambda box: (box.left, box.top))
    windows: list[Rectangle] = []
    while left_to_right:
        cluster = left_to_right[0]
        for box in left_to_right[1:]:
            joined = cluster.union(box)
            cluster = joined if joined.extent <= 0.8 * side else cluster
        window = cluster.square(max(side, round(1.2 * cluster.extent)), (height, width))
        windows.append(window)
        seen = {id(box) for box in left_to_right if window.holds(box) or cluster.holds(box)}
        left_to_right = [box for box in left_to_right if id(box) not in seen]
    return windows


def good_windows(
    boxes: list[Rectangle], defective: list[Rectangle], side: int, height: int, width: int
) -> list[Rectangle]:
    """Squares without any defect on the line of the weld; elsewhere only if it has none.

    Args:
        boxes: Bounding boxes of the defects.
        defective: The defective windows, which tell where the weld runs.
        side: Side of the windows in pixels.
        height: Height of the radiograph.
        width: Width of the radiograph.

    Returns:
        At most 16 windows that neither overlap each other nor touch a defect.
    """
    step = max(side // 4, 1)
    flat = width >= height
    line = np.median([(box.top if flat else box.left) for box in defective])
    places = [
        Rectangle(top, left, top + side, left + side)
        for top in _positions(int(line) if flat else 0, step, height - side)
        for left in _positions(0 if flat else int(line), step, width - side)
    ]
    offsets = {box: abs((box.top if flat else box.left) - line) for box in places}
    places.sort(key=lambda box: offsets[box])
    margin = max(side // 32, 1)
    chosen: list[Rectangle] = []
    for place in places:
        wider = place.grown(margin)
        if not any(wider.meets(box) for box in boxes) and not any(map(place.meets, chosen)):
            chosen.append(place)
    # The bare plate beside the weld is no background for a weld defect.
    on_weld = [box for box in chosen if offsets[box] <= side / 4]
    return (on_weld or chosen)[:MAX_GOOD_PER_RADIOGRAPH]


def _number(stem: str) -> str:
    return re.sub(r"^W\d{4}_", "", stem)


def _defect_boxes(root: Path, path: Path) -> list[Rectangle]:
    labels, _ = ndimage.label(decode_mask(read_bytes(root, path), path), np.ones((3, 3)))
    return [Rectangle(y.start, x.start, y.stop, x.stop) for y, x in ndimage.find_objects(labels)]


def _windows(image: SourceImage, boxes: list[Rectangle], side: int) -> dict[str, list[Rectangle]]:
    defective = defect_windows(boxes, side, image.height, image.width)
    good = good_windows(boxes, defective, side, image.height, image.width)
    return {DEFECT_TYPE: defective, GOOD: good}


def _window_rows(
    root: Path, ident: str, image: SourceImage, mask: Path, windows_of: dict[str, list[Rectangle]]
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
                    window=(box.left, box.top, box.width, box.height),
                    group=f"{ident}/{image.path.stem}",
                )
            )
    return rows


def _positions(start: int, step: int, last: int) -> list[int]:
    return [*range(start % step, last + 1, step)]


def _cluster_extents(boxes: list[Rectangle]) -> list[int]:
    """Extents of defects joined with neighbours closer than their own median extent."""
    reach = round(float(np.median([box.extent for box in boxes])))
    clusters: list[Rectangle] = []
    for box in sorted(boxes, key=lambda box: box.left):
        wider = box.grown(reach)
        joined = box
        for other in [cluster for cluster in clusters if wider.meets(cluster)]:
            clusters.remove(other)
            joined = joined.union(other)
        clusters.append(joined)
    return [cluster.extent for cluster in clusters]
