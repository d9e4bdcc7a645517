"""The real test images of a category; but for `protocol.legacy` they choose nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import Example, Sample, each_sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.batches import View, make_view

KEPT_BYTES = 1 << 30  # of test images; beyond it they are read again for every evaluation


@dataclass(frozen=True)
class TestImage:
    """A test image as the network sees it, with its native truth.

    Attributes:
        sample_id: As in `samples`.
        group: Near-duplicate shots of one part share it.
        defect_type: "good" for a defect-free image.
        view: The image at the network's scale; the same one each time while memory allows.
        mask: bool (H, W) at native size.
    """

    __test__ = False  # not a test for pytest

    sample_id: str
    group: str
    defect_type: str
    view: View
    mask: np.ndarray

    @property
    def image(self) -> np.ndarray:
        """uint8 (h, w, 3) at the network's scale."""
        return self.view.image


class TestSet:
    """The test images of one category, each decoded once as long as memory allows.

    Attributes:
        samples: Its test samples in order of sample_id.
    """

    __test__ = False

    def __init__(self, rows: pd.DataFrame, side: int, *, square: bool) -> None:
        """Set up the test set; nothing is read yet.

        Args:
            rows: Test rows of `samples`.
            side: px, scale of the network; see `batches.make_view`.
            square: Likewise.
        """
        self.samples = list(each_sample(rows.sort_values("sample_id")))
        self._side, self._square = side, square
        self._kept: dict[Sample, tuple[View, np.ndarray]] = {}
        self._bytes = 0

    def images(self, types: Collection[str] | None = None) -> Iterator[TestImage]:
        """Yield the images of some defect types, or all."""
        for sample in self.samples:
            if types is None or sample.defect_type in types:
                yield self._image(sample)

    def spread(self, count: int) -> list[Sample]:
        """Return up to `count` samples, the defect types and "good" taking turns."""
        names = {sample.defect_type for sample in self.samples}
        of_type = [
            [sample for sample in self.samples if sample.defect_type == name]
            for name in sorted(names, key=lambda name: (name == GOOD, name))
        ]
        turns = [sample for turn in zip_longest(*of_type) for sample in turn if sample is not None]
        return turns[:count]

    def _image(self, sample: Sample) -> TestImage:
        if sample in self._kept:
            view, packed = self._kept[sample]
            count = sample.width * sample.height
            mask = np.unpackbits(packed, count=count).reshape(sample.shape).astype(bool)
        else:
            example = Example(sample.image(), sample.mask())
            view = make_view(example, self._side, square=self._square)
            mask, packed = example.mask, np.packbits(example.mask)
            self._bytes += view.image.nbytes + view.cover.nbytes + packed.nbytes
            if self._bytes <= KEPT_BYTES:
                self._kept[sample] = view, packed
        return TestImage(sample.sample_id, sample.group, sample.defect_type, view, mask)


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
