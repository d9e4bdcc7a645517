"""Image-mask pairs made by another system, checked before anything is trained on them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.arms.external_layouts import (
    LAYOUTS,
    Kind,
    find_pairs,
    sheet_windows,
    unknown_types,
)
from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.files import read_bytes
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.corpora.thumbnails import thumbnail
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_image, decode_levels
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.options import ExternalOptions

_log = logging.getLogger(__name__)
_WINDOW = ["x", "y", "width", "height"]
COLUMNS = ["image_id", "category", "defect_type", "image", "mask", *_WINDOW]
_INDEX_LEVELS = 16  # masks of class numbers, or of few colours, have no more levels
_NEAR = 32
_MAX_GREY_SHARE = 0.25
_MAX_COVER = 0.95


@dataclass(frozen=True)
class ExternalSet:
    """The pairs of another system that fit the samples.

    Attributes:
        name: Its name in `arms.external`.
        root: Folder of its output.
        pairs: image_id, category, defect_type, image and mask (paths below the root), and the
            window x, y, width, height where one file is a sheet of several images.
        thumbnails: Of the images, by image_id, see `corpora.thumbnails`.
    """

    name: str
    root: Path
    pairs: pd.DataFrame
    thumbnails: Mapping[str, np.ndarray] = field(repr=False, compare=False)

    def example(self, image_id: str) -> Example:
        """Read one pair.

        Raises:
            InputError: It is not in the set, or its files were changed since.
        """
        rows = self.pairs[self.pairs["image_id"] == image_id]
        if rows.empty:
            raise InputError(
                f"the external set {self.name} has no such image",
                file=self.root,
                value=image_id,
                remedy="take image_id from its pairs",
            )
        row = rows.iloc[0]
        whole = _read(self.root, self.root / row["image"], self.root / row["mask"])
        window = Rectangle.at(*(int(row[name]) for name in _WINDOW)).slices
        return Example(whole.image[window].copy(), whole.mask[window].copy())


def read_external(name: str, options: ExternalOptions, samples: pd.DataFrame) -> ExternalSet:
    """Find and check the pairs of another system for every defect type of the base samples.

    Every file is decoded once. Pairs with an empty mask, or one that covers the image, are left
    out with a warning: several systems write some, and they label nothing.

    Args:
        name: Name of the set, for messages.
        options: Folder and layout.
        samples: The table `samples`; categories and types it does not have are not read.

    Returns:
        The set, pairs in natural order within category and type.

    Raises:
        InputError: No such folder, an unmatched, differently sized or unreadable file, a mask
            that is a photograph, or no usable pair of a type.
    """
    root = Path(options.path).expanduser()
    if not root.is_dir():
        raise InputError(
            f"external set {name}: the folder does not exist",
            file=root,
            value=f"arms.external.{name}.path",
            remedy="name the folder that holds its images and masks",
        )
    base = samples[(samples["split"] == "base") & (samples["defect_type"] != GOOD)]
    kinds = sorted(set(zip(base["category"], base["defect_type"], strict=True)))
    rows: list[dict[str, Any]] = []
    thumbnails: dict[str, np.ndarray] = {}
    for kind in kinds:
        usable, useless = _sorted_out(root, kind, find_pairs(root, kind, kinds, options.layout))
        if useless:
            why = f"{len(useless)} masks are empty or cover the image and are left out"
            _log.warning("external set %s, %s: %s, first %s", name, "/".join(kind), why, useless[0])
        if not usable:
            raise InputError(
                f"external set {name} has no {'usable ' if useless else ''}pairs of "
                + "/".join(kind),
                file=useless[0] if useless else root,
                value=f"layout {options.layout}, {len(useless)} masks empty or covering the image",
                remedy=f"lay the files out as {LAYOUTS}; or leave the type out of "
                "ingest.defect_types",
            )
        rows += (row for row, _ in usable)
        thumbnails |= {row["image_id"]: picture for row, picture in usable}
    return ExternalSet(name, root, pd.DataFrame(rows, columns=COLUMNS), thumbnails)


def check_fits(external: ExternalSet, samples: pd.DataFrame) -> None:
    """Refuse a set that cannot be compared with the real images: other sizes, or other types.

    Detectors bring every image to one size; a distance to real images would be one of sizes too.

    Args:
        external: What `read_external` returned.
        samples: The table `samples`.

    Raises:
        InputError: Naming the first image of another size, or folder of another type.
    """
    real = samples[samples["split"].isin(["base", "test"]) & (samples["defect_type"] != GOOD)]
    for category, pairs in external.pairs.groupby("category", sort=False):
        mine = real[real["category"] == category]
        known = set(zip(mine["width"], mine["height"], strict=True))
        wrong = [row for row in pairs.itertuples() if (row.width, row.height) not in known]
        if wrong:
            width, height = sorted(known)[0]
            raise InputError(
                f"images of the external set {external.name} have another size than the real ones",
                file=external.root / wrong[0].image,
                value=f"{wrong[0].width}x{wrong[0].height}, the real ones {width}x{height}",
                remedy=f"resize its images and masks to {width}x{height}, or ingest the real ones "
                "at its size",
            )
        other = unknown_types(external.root, str(category), set(mine["defect_type"]))
        if other is not None:
            raise InputError(
                f"the external set {external.name} has images of a type that is not in the corpus",
                file=other,
                value=f"{category} has {', '.join(sorted(set(mine['defect_type'])))}",
                remedy="rename the folder, move it elsewhere, or add the type to the corpus",
            )


def _sorted_out(
    root: Path, kind: Kind, found: Sequence[tuple[Path, Path]]
) -> tuple[list[tuple[dict[str, Any], np.ndarray]], list[Path]]:
    """The usable pairs of a type, each a row and a thumbnail, and the masks of the others."""
    usable, useless = [], []
    for files in found:
        whole = _read(root, *files)
        windows = sheet_windows(whole.image, whole.mask)
        paths = [file.relative_to(root).as_posix() for file in files]
        for number, window in enumerate(windows):
            if not 0 < whole.mask[window.slices].mean() <= _MAX_COVER:
                useless.append(files[1])
                continue
            stem = files[0].stem + (f"#{number}" if len(windows) > 1 else "")
            corner_and_size = window.left, window.top, window.width, window.height
            values = "/".join((*kind, stem)), *kind, *paths, *corner_and_size
            row = dict(zip(COLUMNS, values, strict=True))
            usable.append((row, thumbnail(whole.image[window.slices])))
    return usable, useless


def _read(root: Path, image_file: Path, mask_file: Path) -> Example:
    image = decode_image(read_bytes(root, image_file), image_file)
    mask = _decode_mask(read_bytes(root, mask_file), mask_file)
    if image.shape[:2] != mask.shape:
        sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (mask, image)]
        raise InputError(
            "the mask has another size than its image",
            file=f"{mask_file} and {image_file}",
            value="mask {}, image {}".format(*sizes),
            remedy="export both at one size",
        )
    return Example(image, mask)


def _decode_mask(data: bytes, file: Path) -> np.ndarray:
    """The defect of a mask of 0 and 1, 0 and 255, class numbers, colours, or a soft one at half.

    Softer than `codec.decode_mask`, as these masks come from networks and may be empty.
    """
    levels = decode_levels(data, file)
    present = np.unique(levels)
    if present[-1] <= _INDEX_LEVELS or (len(present) == 2 and present[0] == 0):
        return np.asarray(levels > 0)
    grey = float(((levels > _NEAR) & (levels < 255 - _NEAR)).mean())
    if len(present) > _INDEX_LEVELS and grey > _MAX_GREY_SHARE:
        raise InputError(
            "the mask is neither binary nor near-binary",
            file=file,
            value=f"{len(present)} grey levels, {grey:.1%} of the pixels in between",
            remedy="threshold it, or name the folder of the masks mask",
        )
    return np.asarray(levels > 127)
