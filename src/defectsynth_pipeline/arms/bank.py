"""What arms draw from: real base samples, normals, masks and finished image sets; never a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.reading import load_image, load_mask
from defectsynth_pipeline.corpora.split import assert_no_test
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ArmOptions, FramingOptions, SynthesisOptions

if TYPE_CHECKING:
    from defectsynth_pipeline.arms.external_set import ExternalSet


@dataclass(frozen=True)
class Example:
    """One training image.

    Attributes:
        image: uint8 or uint16, (H, W) or (H, W, 3), native size.
        mask: (H, W) bool; all False for a defect-free image.
    """

    image: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Bank:
    """All an arm may look at.

    Attributes:
        samples: The table `samples`, test rows included; reading one of them raises.
        synthetic: The finished set of the augment run.
        masks: The generated masks it was made from.
        external: Sets of other systems, by name.
        options: What arms are told.
        synthesis: How the synthetic set was composed.
        framing: Window around a defect.
    """

    samples: pd.DataFrame
    synthetic: ImageSet
    masks: ImageSet
    external: Mapping[str, ExternalSet] = field(default_factory=dict)
    options: ArmOptions = field(default_factory=ArmOptions)
    synthesis: SynthesisOptions = field(default_factory=SynthesisOptions)
    framing: FramingOptions = field(default_factory=FramingOptions)

    def base(self, category: str, defect_type: str | None = None) -> pd.DataFrame:
        """Real base samples of a category, or of one of its types, in order of sample_id."""
        rows = self._of(category, "base")
        return rows if defect_type is None else rows[rows["defect_type"] == defect_type]

    def normals(self, category: str) -> pd.DataFrame:
        """Defect-free samples of a category outside the test set, in order of sample_id."""
        return self._of(category, "normal")

    def example(self, sample_id: str) -> Example:
        """Read a base or normal sample.

        Raises:
            InputError: It is a test sample.
        """
        row = self.samples.loc[self.samples["sample_id"] == sample_id].iloc[0]
        assert_no_test(self.samples, [row["sha256"]], "a training set")
        return Example(load_image(row), load_mask(row))

    def _of(self, category: str, split: str) -> pd.DataFrame:
        chosen = (self.samples["category"] == category) & (self.samples["split"] == split)
        return self.samples[chosen].sort_values("sample_id")
