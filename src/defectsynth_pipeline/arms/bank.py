"""What arms draw from: real base samples, normals, masks and finished image sets; never a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from defectsynth_pipeline.arms.external import ExternalSet, read_external
from defectsynth_pipeline.arms.leaks import check_leaks
from defectsynth_pipeline.corpora.columns import UNUSED
from defectsynth_pipeline.corpora.reading import Example, Sample, each_sample
from defectsynth_pipeline.corpora.split import assert_no_test
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ArmOptions, FramingOptions, SynthesisOptions


@dataclass(frozen=True)
class Bank:
    """All an arm may look at.

    Attributes:
        samples: The table `samples`, all its rows; reading a test or unused one raises.
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

    def sample(self, sample_id: str) -> Sample:
        """A base or normal sample.

        Raises:
            InputError: It is a test or an unused sample, has the content of one, or is not in
                the table.
        """
        sample = self._by_id.get(sample_id)
        if sample is None:
            raise InputError(
                "a training image was made from a sample that is no longer there",
                value=sample_id,
                remedy="run augment again with these samples",
            )
        if sample.sha256 in self._barred:  # the guard goes through all rows: not for every image
            assert_no_test(self.samples, [sample.sha256], "a training set")
        return sample

    def example(self, sample_id: str) -> Example:
        """Read a base or normal sample; raises as `sample`."""
        sample = self.sample(sample_id)
        return Example(sample.image(), sample.mask())

    def _of(self, category: str, split: str) -> pd.DataFrame:
        chosen = (self.samples["category"] == category) & (self.samples["split"] == split)
        return self.samples[chosen].sort_values("sample_id")

    @cached_property
    def _by_id(self) -> dict[str, Sample]:
        return {sample.sample_id: sample for sample in each_sample(self.samples)}

    @cached_property
    def _barred(self) -> frozenset[str]:
        return frozenset(s.sha256 for s in self._by_id.values() if s.split in ("test", UNUSED))


def open_bank(
    samples: pd.DataFrame,
    synthetic: ImageSet,
    masks: ImageSet,
    options: ArmOptions,
    synthesis: SynthesisOptions,
    framing: FramingOptions,
) -> Bank:
    """Read the external sets and make sure that nothing an arm may draw from is a test image.

    Raises:
        InputError: An external set cannot be read, or a test image is where it must not be.
    """
    external = {name: read_external(name, o, samples) for name, o in options.external.items()}
    check_leaks(samples, synthetic, masks, external)
    return Bank(samples, synthetic, masks, external, options, synthesis, framing)
