"""A sample and its pixels: cropped, and with the defect removed where the row says so."""

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
from defectsynth_pipeline.corpora.labels.exports import LabelMask
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_image, decode_mask
from defectsynth_pipeline.imaging.rectangle import Rectangle

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
        mask_file: Mask, relative to the root, or a `LabelMask`; "" for a defect-free sample.
        x, y, width, height: Window of the file, pixels.
        derivation: "" or "crack_removed".
        mask_of: Mask file whose defect is removed.
        group: Samples of one part share it.
        split: "base", "test", "normal" or "unused".
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
        """Read its pixels.

        Returns:
            uint8 or uint16, (height, width) or (height, width, 3); the caller may change it.

        Raises:
            InputError: The file left its root, is gone, was changed or cannot be decoded.
        """
        root = Path(self.root)
        stamp = _stamp(root, self.image_file)
        if not self.derivation:
            return self._window(_image(root, self.image_file, stamp))
        if self.derivation != CRACK_REMOVED:
            raise InputError(
                "unknown derivation",
                file=root / self.image_file,
                value=self.derivation,
                remedy=f"use '' or '{CRACK_REMOVED}'",
            )
        stamps = (stamp, _stamp(root, self.mask_of))
        return self._window(_without_defect(root, self.image_file, self.mask_of, stamps))

    def mask(self) -> np.ndarray:
        """Read its mask.

        Returns:
            bool (height, width), all False for a defect-free sample; the caller may change it.

        Raises:
            InputError: As `image`.
        """
        if not self.mask_file:
            return np.zeros(self.shape, dtype=bool)
        return self._window(read_mask(Path(self.root), self.mask_file, self.shape))

    def _window(self, array: np.ndarray) -> np.ndarray:
        window = Rectangle.at(self.x, self.y, self.width, self.height)
        if window.clipped(array.shape) != window:
            raise InputError(
                "the window of the sample leaves its image",
                file=f"{self.root}/{self.image_file}",
                value=f"{self.width}x{self.height} at {self.x},{self.y} "
                f"of {array.shape[1]}x{array.shape[0]}",
                remedy="the file was changed after ingest: run ingest again",
            )
        return array[window.slices].copy()


_COLUMNS = [
    (f.name, f.name.removesuffix("_file"), int if f.type == "int" else str) for f in fields(Sample)
]


def read_mask(root: Path, mask: str, shape: tuple[int, int]) -> np.ndarray:
    """Read a mask of the column `mask`, a file or a `LabelMask`, bool (H, W); not to be changed.

    Args:
        root: Of the corpus.
        mask: Relative to it.
        shape: (height, width) of the image, which a label file may not know.

    Raises:
        InputError: It is gone, was changed or cannot be decoded.
    """
    labels = LabelMask.of(mask)
    if labels is None:
        return _mask(root, mask, _stamp(root, mask))
    return _drawn(root, labels, shape, _stamp(root, labels.file))


def each_sample(samples: pd.DataFrame) -> Iterator[Sample]:
    """The rows of the table `samples`, typed, in order."""
    return map(Sample.of, samples.to_dict("records"))


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


@lru_cache(maxsize=8)
def _drawn(
    root: Path, labels: LabelMask, shape: tuple[int, int], stamp: tuple[int, int]
) -> np.ndarray:
    return labels.draw(root, shape)


@lru_cache(maxsize=128)
def _without_defect(root: Path, image: str, mask: str, stamps: tuple[Any, Any]) -> np.ndarray:
    return remove_defect(_image(root, image, stamps[0]), _mask(root, mask, stamps[1]))
