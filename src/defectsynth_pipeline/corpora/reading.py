"""The pixels of a sample: cropped, and with the defect removed where the row says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.files import read_bytes
from defectsynth_pipeline.corpora.inpainting import remove_defect
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_image, decode_mask

CRACK_REMOVED = "crack_removed"


@dataclass(frozen=True)
class Example:
    """An image with its mask.

    Attributes:
        image: uint8 or uint16, (H, W) or (H, W, 3), native size.
        mask: (H, W) bool; all False for a defect-free image.
    """

    image: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Sample:
    """One row of the table `samples`, whose pixels are read when asked for.

    It can be a key: two equal samples have equal pixels.

    Attributes:
        root: Folder of the corpus.
        image_file: Image, relative to the root.
        mask_file: Mask, relative to the root; "" for a defect-free sample.
        x, y, width, height: Window of the file, pixels.
        derivation: "" or "crack_removed".
        mask_of: Mask file whose defect is removed.
        group: Samples of one part share it.
        split: "base", "test" or "normal".
    """

    sample_id: str
    corpus: str
    category: str
    defect_type: str
    root: str
    image_file: str
    mask_file: str
    x: int
    y: int
    width: int
    height: int
    derivation: str
    mask_of: str
    group: str
    sha256: str
    split: str

    @classmethod
    def of(cls, row: Any) -> Sample:
        """The sample of a row of `samples`: a Series, a mapping or a named tuple."""
        values: dict[str, Any] = {n: kind(_field(row, c)) for n, c, kind in _COLUMNS}
        return cls(**values)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    def image(self) -> np.ndarray:
        """Its pixels, see `load_image`."""
        return load_image(self._row())

    def mask(self) -> np.ndarray:
        """Its mask, see `load_mask`."""
        return load_mask(self._row())

    def _row(self) -> dict[str, Any]:
        return {column: getattr(self, name) for name, column, _ in _COLUMNS}


_COLUMNS = [
    (f.name, f.name.removesuffix("_file"), int if f.type == "int" else str) for f in fields(Sample)
]


def each_sample(samples: pd.DataFrame) -> Iterator[Sample]:
    """The rows of the table `samples`, typed, in order."""
    return map(Sample.of, samples.to_dict("records"))


def load_image(sample: Any) -> np.ndarray:
    """Pixels of a sample.

    Args:
        sample: A row of `samples`: a Series, a mapping or a named tuple.

    Returns:
        uint8 or uint16, (height, width) or (height, width, 3); the caller may change it.

    Raises:
        InputError: The file left its root, is gone, was changed or cannot be decoded.
    """
    root, image = Path(_field(sample, "root")), str(_field(sample, "image"))
    derivation = _field(sample, "derivation")
    if not derivation:
        return _crop(_image(root, image, _stamp(root, image)), sample)
    if derivation != CRACK_REMOVED:
        raise InputError(
            "unknown derivation",
            file=root / image,
            value=derivation,
            remedy=f"use '' or '{CRACK_REMOVED}'",
        )
    mask = str(_field(sample, "mask_of"))
    return _crop(
        _without_defect(root, image, mask, (_stamp(root, image), _stamp(root, mask))), sample
    )


def load_mask(sample: Any) -> np.ndarray:
    """Mask of a sample.

    Args:
        sample: A row of `samples`: a Series, a mapping or a named tuple.

    Returns:
        bool (height, width), all False for a defect-free sample; the caller may change it.

    Raises:
        InputError: As `load_image`.
    """
    root, mask = Path(_field(sample, "root")), str(_field(sample, "mask"))
    if not mask:
        shape = (int(_field(sample, "height")), int(_field(sample, "width")))
        return np.zeros(shape, dtype=bool)
    return _crop(_mask(root, mask, _stamp(root, mask)), sample)


def _crop(array: np.ndarray, sample: Any) -> np.ndarray:
    x, y, width, height = (int(_field(sample, name)) for name in ("x", "y", "width", "height"))
    part = array[y : y + height, x : x + width]
    if x < 0 or y < 0 or part.shape[:2] != (height, width):
        raise InputError(
            "the window of the sample leaves its image",
            file=f"{_field(sample, 'root')}/{_field(sample, 'image')}",
            value=f"{width}x{height} at {x},{y} of {array.shape[1]}x{array.shape[0]}",
            remedy="the file was changed after ingest: run ingest again",
        )
    return part.copy()


def _field(sample: Any, name: str) -> Any:
    """A column of a row; `Series.mask` is a method, so attribute access is only for tuples."""
    if isinstance(sample, (pd.Series, Mapping)):
        return sample[name]
    return getattr(sample, name)


def _stamp(root: Path, relative: str) -> tuple[int, int]:
    """Time and size of a file, part of the cache key so that a changed file is read again."""
    try:
        stat = (root / relative).stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


# A radiograph is cut into many windows, so a few decoded files are kept.
@lru_cache(maxsize=8)
def _image(root: Path, relative: str, stamp: tuple[int, int]) -> np.ndarray:
    return decode_image(read_bytes(root, root / relative), root / relative)


@lru_cache(maxsize=8)
def _mask(root: Path, relative: str, stamp: tuple[int, int]) -> np.ndarray:
    return decode_mask(read_bytes(root, root / relative), root / relative)


@lru_cache(maxsize=128)
def _without_defect(root: Path, image: str, mask: str, stamps: tuple[Any, Any]) -> np.ndarray:
    return remove_defect(_image(root, image, stamps[0]), _mask(root, mask, stamps[1]))
