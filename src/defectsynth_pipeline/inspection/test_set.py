"""The real test images of a category: read for the final evaluation and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from defectsynth_pipeline.arms.example import Example
from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import load_image, load_mask
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.batches import make_view

KEPT_BYTES = 1 << 30  # of test images; beyond it they are read again for every evaluation


@dataclass(frozen=True)
class TestImage:
    """A test image as the network sees it, with its native truth.

    Attributes:
        sample_id: As in `samples`.
        group: Near-duplicate shots of one part share it.
        defect_type: "good" for a defect-free image.
        image: uint8 (h, w, 3) at the network's scale.
        mask: bool (H, W) at native size.
    """

    __test__ = False  # not a test for pytest

    sample_id: str
    group: str
    defect_type: str
    image: np.ndarray
    mask: np.ndarray


class TestSet:
    """The test images of one category, each decoded once as long as memory allows."""

    __test__ = False

    def __init__(self, rows: pd.DataFrame, side: int, *, square: bool) -> None:
        """Set up the test set; nothing is read yet.

        Args:
            rows: Test rows of `samples`.
            side: px, scale of the network; see `views.make_view`.
            square: Likewise.
        """
        self.rows = rows.sort_values("sample_id").reset_index(drop=True)
        self._side, self._square = side, square
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[TestImage]:
        for index in range(len(self)):
            yield self[index]

    def __getitem__(self, index: int) -> TestImage:
        if index not in range(len(self)):
            raise IndexError(index)
        row = self.rows.iloc[index]
        if index in self._kept:
            image, packed = self._kept[index]
            shape = (int(row["height"]), int(row["width"]))
            mask = np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).astype(bool)
        else:
            image, mask = self._read(row)
            self._keep(index, image, mask)
        return TestImage(row["sample_id"], row["group"], row["defect_type"], image, mask)

    def spread(self, count: int) -> list[int]:
        """Return indices of up to `count` images, the defect types and "good" taking turns."""
        types = sorted(set(self.rows["defect_type"]), key=lambda name: (name == GOOD, name))
        of_type = [np.flatnonzero(self.rows["defect_type"] == name) for name in types]
        longest = max((len(indices) for indices in of_type), default=0)
        turns = [int(i[turn]) for turn in range(longest) for i in of_type if turn < len(i)]
        return turns[:count]

    def _read(self, row: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        example = Example(load_image(row), load_mask(row))
        return make_view(example, self._side, square=self._square).image, example.mask

    def _keep(self, index: int, image: np.ndarray, mask: np.ndarray) -> None:
        packed = np.packbits(mask)
        self._bytes += image.nbytes + packed.nbytes
        if self._bytes <= KEPT_BYTES:
            self._kept[index] = image, packed


def real_test_rows(samples: pd.DataFrame, corpus: str, category: str) -> pd.DataFrame:
    """Return the test rows of a category.

    Raises:
        InputError: There are none, so that nothing can be measured.
    """
    of_category = (samples["corpus"] == corpus) & (samples["category"] == category)
    rows = samples[of_category & (samples["split"] == "test")]
    if not (rows["defect_type"] != GOOD).any():
        raise InputError(
            "a category has no defective test image, so nothing can be measured",
            value=f"{corpus}/{category}",
            remedy="lower ingest.base_share, or leave the category out of ingest.categories",
        )
    return rows
